"""Labels: what joins a container to hub, lease and warm server."""

HUB_LABEL = "gradienthub.hub"
LEASE_LABEL = "gradienthub.lease"
DEVICES_LABEL = "gradienthub.devices"
SLOT_LABEL = "gradienthub.warm"
NOTEBOOK_LABEL = "gradienthub.notebook"
TYPE_LABEL = "gradienthub.instance_type"
#: An image may have labels of ours; each that the engine is not told is the image's.
LABELS = (HUB_LABEL, LEASE_LABEL, DEVICES_LABEL, SLOT_LABEL, NOTEBOOK_LABEL, TYPE_LABEL)
