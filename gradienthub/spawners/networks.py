"""The notebooks' own network: hub, proxy and the world are reached on it, and no neighbor."""

import threading
import time
from contextlib import suppress

from docker import APIClient
from docker.errors import APIError
from requests.exceptions import RequestException

from ..rules.bridge import NEIGHBORS_OPTION
from .docker_types import InspectedNetwork
from .trials import new_trial, remove_trial

#: Shared by all hubs of an engine: whoever is on it reaches nobody else on it.
NETWORK = "gradienthub-notebooks"
NETWORK_LABEL = "gradienthub.network"
#: Where the network cannot be made, containers are where DockerSpawner puts them.
FALLBACK = "bridge"
PROBE_SECONDS = 20
_PROBE_PORT = 8888
_LISTEN = (
    "import socket; s = socket.create_server(('', {port})); print('listens', flush=True);"
    " s.settimeout({seconds}); s.accept()"
)
_CONNECT = (
    "import socket, sys\n"
    "try: socket.create_connection(('{address}', {port}), 2)\n"
    "except OSError: sys.exit(7)"
)
_making = threading.Lock()


def make_network(client: APIClient) -> InspectedNetwork:
    """Return the notebooks' network, made where there is none. Raises APIError.

    Names of networks are not unique: two hubs, or two starts of one, may make it at the same
    moment, and no container can join a name that two networks have. All of them keep the oldest
    and remove the others, which nobody has joined.
    """
    with _making:
        same_name = _networks(client)
        if not same_name:
            try:
                client.create_network(
                    NETWORK,
                    driver="bridge",
                    options={NEIGHBORS_OPTION: "false"},
                    labels={NETWORK_LABEL: "notebooks"},
                    check_duplicate=True,
                )
            except APIError as error:
                # 409: another hub made it at this moment.
                if error.status_code != 409:
                    raise
            same_name = _networks(client)
        for extra in same_name[1:]:
            if NETWORK_LABEL in (extra.get("Labels") or {}):
                # Refused where a container has joined it, and gone where another hub was faster.
                with suppress(APIError):
                    client.remove_network(extra["Id"])
        row: InspectedNetwork = client.inspect_network(same_name[0]["Id"] if same_name else NETWORK)
        return row


def _networks(client: APIClient) -> list[InspectedNetwork]:
    """List the networks of the name, the oldest first; the engine's own filter finds parts too."""
    rows = [row for row in client.networks(names=[NETWORK]) if row["Name"] == NETWORK]
    return sorted(rows, key=lambda row: (row["Created"], row["Id"]))


def neighbors_reach(client: APIClient, image: str, network: str) -> bool | None:
    """Try whether one container of the network reaches another; None where it cannot be told.

    Both are made here, and removed by their ids.
    """
    made: list[str] = []

    def start(program: str) -> str:
        container: str = client.create_container(
            image,
            entrypoint=["python3", "-c", program],
            command=[],
            user="65534",
            host_config=client.create_host_config(
                network_mode=network, cap_drop=["ALL"], security_opt=["no-new-privileges"]
            ),
            **new_trial(),
        )["Id"]
        made.append(container)
        client.start(container)
        return container

    try:
        listening = start(_LISTEN.format(port=_PROBE_PORT, seconds=PROBE_SECONDS))
        if not _listens(client, listening):
            return None
        row = client.inspect_container(listening)["NetworkSettings"]["Networks"][network]
        asking = start(_CONNECT.format(address=row["IPAddress"], port=_PROBE_PORT))
        code = client.wait(asking, timeout=PROBE_SECONDS)["StatusCode"]
        return {0: True, 7: False}.get(code)
    except (APIError, RequestException, KeyError, OSError):
        return None
    finally:
        for container in made:
            remove_trial(client, container)


def _listens(client: APIClient, container: str) -> bool:
    deadline = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < deadline:
        if b"listens" in client.logs(container):
            return True
        if not client.inspect_container(container)["State"]["Running"]:
            return False
        time.sleep(0.1)
    return False
