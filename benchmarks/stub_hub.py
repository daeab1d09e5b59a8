"""A process in a hub's place: so many idle servers, each of which takes 100 ms to stop.

Told by environment: NOTEBOOKS (the port that answers for them) and LEASES (their ids, as a
JSON list). Prints its port.
"""

import asyncio
import json
import os

from aiohttp import web
from stub_notebooks import serve

LONG_AGO = "2020-01-01T00:00:00.000000Z"
leases = json.loads(os.environ["LEASES"])
running = {f"u{number}": lease for number, lease in enumerate(leases)}


def model(name: str) -> dict[str, object]:
    server = {
        "name": "",
        "ready": True,
        "pending": None,
        "stopped": False,
        "started": LONG_AGO,
        "last_activity": LONG_AGO,
        "url": f"/user/{name}/",
        "state": {},
        "user_options": {},
    }
    return {
        "kind": "user",
        "name": name,
        "admin": False,
        "groups": [],
        "last_activity": LONG_AGO,
        "created": LONG_AGO,
        "servers": {"": server},
    }


async def servers(request: web.Request) -> web.Response:
    port = os.environ["NOTEBOOKS"]
    return web.json_response(
        {
            "hub_id": "bench",
            "settled": True,
            "census": None,
            "engine_away": None,
            "servers": [
                {
                    "user": name,
                    "server": "",
                    "lease_id": lease,
                    "ready": True,
                    "pending": None,
                    "url": f"http://127.0.0.1:{port}/user/{name}/",
                    "token": "x",
                }
                for name, lease in running.items()
            ],
        }
    )


async def users(request: web.Request) -> web.Response:
    offset, limit = int(request.query.get("offset", 0)), int(request.query.get("limit") or 50)
    names = list(running)[offset : offset + limit]
    following = offset + limit if offset + limit < len(running) else None
    return web.json_response(
        {
            "items": [model(name) for name in names],
            "_pagination": {
                "offset": offset,
                "limit": limit,
                "total": len(running),
                "next": following
                and {
                    "offset": following,
                    "limit": limit,
                    "url": str(request.url.update_query(offset=following)),
                },
            },
        },
        content_type="application/jupyterhub-pagination+json",
    )


async def stop(request: web.Request) -> web.Response:
    await asyncio.sleep(0.1)
    running.pop(request.match_info["name"], None)
    return web.Response(status=204)


async def version(request: web.Request) -> web.Response:
    return web.json_response({"version": "6.1.1"})


def the_hub() -> web.Application:
    app = web.Application()
    app.router.add_get("/hub/api/gradient/servers", servers)
    app.router.add_get("/hub/api/users", users)
    app.router.add_delete("/hub/api/users/{name}/server", stop)
    app.router.add_delete("/hub/api/users/{name}/servers/", stop)
    app.router.add_get("/hub/api/", version)
    return app


if __name__ == "__main__":
    asyncio.run(serve(the_hub()))
