"""gradienthub check --runtime, on real containers."""

import io
from contextlib import closing

import docker
import pytest
from docker.errors import DockerException

IMAGE = "gradienthub/demo:dev"
pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture
def engine():
    """The engine, where it answers and has the image."""
    try:
        client = docker.from_env()
    except DockerException:
        pytest.skip("no container engine answers")
    with closing(client):
        if not client.images.list(IMAGE):
            pytest.skip(f"no image {IMAGE}; tests/image/build.sh")
        yield client


def test_a_plain_image_may_be_warm(hub, engine):
    hub.write(f'c.GradientHub.runtimes["python"]["image"] = {IMAGE!r}')
    said = hub.run("check", "--runtime", "python")
    assert "it may be warm" in said.out, said
    assert said.code == 0


def test_an_image_with_clocks_of_its_own_is_named_with_them(hub, engine):
    recipe = (
        f"FROM {IMAGE}\nUSER root\nRUN mkdir -p /etc/jupyter && printf"
        " 'c.ServerApp.shutdown_no_activity_timeout = 600\\n"
        "c.MappingKernelManager.cull_idle_timeout = 60 * 20\\n'"
        " > /etc/jupyter/jupyter_server_config.py\nUSER gradient\n"
    )
    image, _ = engine.images.build(
        fileobj=io.BytesIO(recipe.encode()), rm=True, tag="gradienthub/clocks:test"
    )
    try:
        hub.write('c.GradientHub.runtimes["python"]["image"] = "gradienthub/clocks:test"')
        said = hub.run("check", "--runtime", "python")
        assert "ServerApp.shutdown_no_activity_timeout = 600" in said.out
        assert "MappingKernelManager.cull_idle_timeout = 1200" in said.out
        assert said.code == 0
    finally:
        engine.images.remove(image.id, force=True)


def test_an_entrypoint_that_prepares_for_its_person_is_found_out(hub, engine):
    recipe = (
        f"FROM {IMAGE}\nUSER root\n"
        "RUN printf '#!/bin/sh\\nexport WORK=/work/$JUPYTERHUB_USER\\numask 027\\nexec \"$@\"\\n'"
        ' > /entry && chmod 755 /entry\nUSER gradient\nENTRYPOINT ["/entry"]\n'
    )
    image, _ = engine.images.build(
        fileobj=io.BytesIO(recipe.encode()), rm=True, tag="gradienthub/check:test"
    )
    try:
        hub.write('c.GradientHub.runtimes["python"]["image"] = "gradienthub/check:test"')
        said = hub.run("check", "--runtime", "python")
        assert said.code == 1
        assert '"WORK": "/work/somebody"' in said.out
        assert "leave c.GradientHub.runtimes['python'].warm at False" in said.out
    finally:
        engine.images.remove(image.id, force=True)


def test_an_image_without_a_server_is_a_sentence(hub, engine):
    hub.write("c.GradientHub.runtimes['python']['image'] = 'gradienthub/base:dev'")
    said = hub.run("check", "--runtime", "python")
    assert said.code == 1
    assert "jupyterhub-singleuser is not in this image" in said.err


def test_an_unknown_runtime_names_those_there_are(hub):
    said = hub.run("check", "--runtime", "pyton")
    assert said.code == 2
    assert "known are python" in said.err
