"""An OAuth2 and OpenID Connect provider on loopback, for the sign-in of all our authenticators.

`async with Provider() as provider`: people are its `people`; the one at the browser is `who`. It
gives codes, tokens and id tokens, insists on what a real one insists on (client, redirect
address, a code used once, PKCE), and remembers every secret it ever gave in `secrets`.
"""

import base64
import hashlib
import json
import secrets
import time
from typing import Any, Self
from urllib.parse import urlencode

import jwt
from aiohttp import web

CLIENT_ID = "gradienthub-tests"


class Provider:
    """One provider at a free port of a loopback host; `host` tells two of them apart."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.people: dict[str, dict[str, Any]] = {}
        self.who = ""
        self.client_secret = self._secret("client")
        self.secrets: list[str] = [self.client_secret]
        self.asked: list[str] = []
        self._codes: dict[str, tuple[str, dict[str, str]]] = {}
        self._access: dict[str, str] = {}
        self._refresh: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://{self.host}:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @property
    def traits(self) -> dict[str, Any]:
        """What an operator writes into the authenticator's section."""
        return {
            "client_id": CLIENT_ID,
            "client_secret": self.client_secret,
            "authorize_url": f"{self.url}/authorize",
            "token_url": f"{self.url}/token",
            "userdata_url": f"{self.url}/userinfo",
        }

    def person(self, key: str, **info: Any) -> None:
        """Somebody new, or new facts about somebody known; they sit at the browser next."""
        self.people[key] = info
        self.who = key

    def expire_access_tokens(self) -> None:
        """From now on only a refresh token gives a working access token."""
        self._access.clear()

    def revoke_everything(self) -> None:
        """The person signed out everywhere."""
        self._access.clear()
        self._refresh.clear()

    # -- what it serves -----------------------------------------------------------------------

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        if asked.get("response_type") != "code" or asked.get("client_id") != CLIENT_ID:
            return web.Response(status=400, text="not a client of this provider")
        code = self._keep("code")
        self._codes[code] = (self.who, asked)
        back = urlencode({"code": code, "state": asked["state"]})
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{back}"})

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        self.asked.append(f"token: {form.get('grant_type')}")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, self.client_secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form.get("grant_type") == "refresh_token":
            person = self._refresh.pop(str(form.get("refresh_token")), None)
        else:
            person = self._redeemed(form)
        if person is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        access, refresh = self._keep("access"), self._keep("refresh")
        self._access[access] = self._refresh[refresh] = person
        return web.json_response(
            {
                "access_token": access,
                "refresh_token": refresh,
                "id_token": self._id_token(person),
                "token_type": "bearer",
                "scope": "openid email",
                "expires_in": 3600,
            }
        )

    def _redeemed(self, form: dict[str, Any]) -> str | None:
        person, asked = self._codes.pop(str(form.get("code")), (None, {}))
        if form.get("redirect_uri") != asked.get("redirect_uri"):
            return None
        if challenge := asked.get("code_challenge"):
            digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
                return None
        return person

    def _id_token(self, person: str) -> str:
        now = int(time.time())
        token = jwt.encode(
            {
                **self.people[person],
                "iss": self.url,
                "aud": CLIENT_ID,
                "iat": now,
                "exp": now + 600,
            },
            secrets.token_bytes(32),
            algorithm="HS256",
        )
        self.secrets.append(token)
        return token

    async def _userinfo(self, request: web.Request) -> web.Response:
        self.asked.append("userinfo")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self._access:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.Response(
            text=json.dumps(self.people[self._access[token]]), content_type="application/json"
        )

    def _keep(self, kind: str) -> str:
        made = self._secret(kind)
        self.secrets.append(made)
        return made

    @staticmethod
    def _secret(kind: str) -> str:
        return f"{kind}-{secrets.token_hex(16)}"
