"""How much of an image is here, from the engine's own lines."""

from gradienthub.spawners.download import Download


def downloading(layer, current, total):
    return {
        "status": "Downloading",
        "id": layer,
        "progressDetail": {"current": current, "total": total},
    }


def test_the_layers_are_added_up():
    download = Download()
    for line in (
        {"status": "Pulling from acme/train", "id": "1.4"},
        downloading("a", 10, 1_000_000_000),
        downloading("a", 900_000_000, 1_000_000_000),
        downloading("b", 100_000_000, 2_000_000_000),
    ):
        download.take(line)
    assert str(download) == "1.0 of 3.0 GB"


def test_a_layer_that_is_complete_counts_whole_also_while_it_is_unpacked():
    download = Download()
    download.take(downloading("a", 10, 500_000_000))
    download.take({"status": "Download complete", "id": "a", "progressDetail": {}})
    download.take(
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 500_000_000}}
    )
    assert (download.done, download.total) == (500_000_000, 500_000_000)


def test_before_the_first_layer_nothing_is_said():
    download = Download()
    download.take({"status": "Already exists", "id": "a", "progressDetail": {}})
    download.take({"status": "Digest: sha256:abc"})
    assert str(download) == ""
