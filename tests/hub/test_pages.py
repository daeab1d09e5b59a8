"""The hub's pages as a browser sees them: the form, a start on its way, the notebooks."""

from typing import Any


async def test_smoke(hub: Any) -> None:
    home = await hub()
    mira = await home.browser("mira")
    said = await mira.get("/spawn")
    print(said.status, said.text[:300])
    assert said.status == 200
    said = await mira.get("/home")
    print(said.status, said.text[:3000])
    assert said.status == 200
    said = await mira.post("/spawn", {"instance_type": "t4", "display_name": "A b"})
    print(said.status, said.text[:9000])
    said = await mira.post(
        "/spawn", {"instance_type": "free-cpu", "display_name": "A b", "shutdown_after": "1h"}
    )
    print(said.status, said.headers)
    said = await mira.get("/home")
    print(said.status, said.text[3000:])
    said = await mira.get("/spawn-pending/mira/a-b")
    print(said.status, said.headers)
    assert 0
