"""Takes note that plain user data is goldline's JSON document.

It stays as it is in /var/lib/cloud/instance/user-data.txt.
"""


def list_types():
    return ["text/x-not-multipart"]


def handle_part(data, ctype, filename, payload):
    pass
