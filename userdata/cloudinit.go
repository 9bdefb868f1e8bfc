package userdata

// cloud-init keeps user data of any form under /var/lib/cloud/instance/ and goes
// on, but warns of a form for which it has no handler, and its newer versions
// then call the boot degraded. An image with this handler boots without the
// warning. cloud-config, scripts and all other forms go on as before.
const (
	// CloudInitHandlerPath is where cloud-init looks for handlers on an image.
	CloudInitHandlerPath = "/var/lib/cloud/handlers/goldline.py"
	// CloudInitHandler is the part handler, in Python as cloud-init wants it.
	CloudInitHandler = `"""Takes note that plain user data is goldline's JSON document.

It stays as it is in /var/lib/cloud/instance/user-data.txt.
"""


def list_types():
    return ["text/x-not-multipart"]


def handle_part(data, ctype, filename, payload):
    pass
`
)
