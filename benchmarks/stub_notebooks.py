"""A process that answers for any number of idle notebooks; prints its port."""

import asyncio

from aiohttp import web

STATUS = {"version": "2.17.0", "started": "2026-01-01T00:00:00Z", "kernels": 0, "connections": 0}


async def answer(request: web.Request) -> web.Response:
    path = request.path
    if path.endswith(("/api/kernels", "/api/terminals", "/api/sessions")):
        return web.json_response([])
    if path.endswith("/gradienthub/activity"):
        return web.json_response({"person_at": None})
    stranger = path.endswith("/api/status") and "Authorization" not in request.headers
    return web.json_response(
        STATUS, status=403 if stranger else 200, headers={"X-JupyterHub-Version": "6.1.1"}
    )


async def serve(app: web.Application) -> None:
    """Serve it on a free port of the loopback address, say which, and go on until killed."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    notebooks = web.Application()
    notebooks.router.add_route("*", "/{any:.*}", answer)
    asyncio.run(serve(notebooks))
