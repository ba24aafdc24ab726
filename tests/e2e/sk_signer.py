"""A security token in software (OpenSSH's PROTOCOL.u2f), for paramiko: what a FIDO key would sign, with flags of the test's choice."""

import base64
import hashlib
import struct

import paramiko
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

PRESENT, VERIFIED = 1, 4


def string(data):
    return struct.pack(">I", len(data)) + data


def mpint(number):
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


class SkKey(paramiko.PKey):
    """kind: "ed25519" or "ecdsa"; flags: what the token says it checked; forge: signs flags other than those that it sends."""

    def __init__(self, kind="ed25519", flags=PRESENT, application=b"ssh:"):
        self.flags, self.application, self.counter = flags, application, 7
        self.forge = None
        self.kind = kind
        if kind == "ed25519":
            self.name = "sk-ssh-ed25519@openssh.com"
            self.private = ed25519.Ed25519PrivateKey.generate()
            point = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            self.blob = string(self.name.encode()) + string(point) + string(application)
        else:
            self.name = "sk-ecdsa-sha2-nistp256@openssh.com"
            self.private = ec.generate_private_key(ec.SECP256R1())
            point = self.private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            self.blob = string(self.name.encode()) + string(b"nistp256") + string(point) + string(application)
        self.public_blob = None

    def line(self):
        return f"{self.name} {base64.b64encode(self.blob).decode()} token"

    def fingerprint(self):
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def get_name(self):
        return self.name

    def asbytes(self):
        return self.blob

    def can_sign(self):
        return True

    def sign_ssh_data(self, data, algorithm=None):
        signed_flags = self.flags if self.forge is None else self.forge
        message = hashlib.sha256(self.application).digest() + struct.pack(">BI", signed_flags, self.counter) + hashlib.sha256(data).digest()
        if self.kind == "ed25519":
            signature = self.private.sign(message)
        else:
            r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
            signature = mpint(r) + mpint(s)
        answer = paramiko.Message()
        answer.add_bytes(string(self.name.encode()) + string(signature) + struct.pack(">BI", self.flags, self.counter))
        answer.rewind()
        return answer
