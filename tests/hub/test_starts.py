"""Starting a notebook through the real hub: what is admitted, what is refused, and in which words."""

from conftest import Home

async def test_a_start_by_rest_gives_a_lease_with_its_devices(hub):
    home = await hub()
    await home.person("anna")
    said = await home.start_server("anna")
    assert said.status == 201, said
    lease = await home.lease_of("anna")
    print(lease)
    await home.is_consistent()
