"""A time stamp authority (RFC 3161) made with OpenSSL: a root, an authority, its answers."""

import subprocess
from pathlib import Path

CONFIG = """[tsa]
default_tsa = here
[here]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
[v3]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
"""
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class TimeAuthority:
    """`reply` answers the bytes of a query; `root` verifies the answers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self.root = folder, folder / "ca.pem"
        (folder / "tsa.cnf").write_text(CONFIG)
        self._openssl("req", "-x509", *CURVE, "-days", "2", "-subj", "/CN=root",
                      "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        self._openssl("req", *CURVE, "-subj", "/CN=authority",
                      "-keyout", "tsa.key", "-out", "tsa.csr")  # fmt: skip
        self._openssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", "2", "-extfile", "tsa.cnf", "-extensions", "v3",
                      "-out", "tsa.pem")  # fmt: skip

    def reply(self, query: bytes) -> bytes:
        (self._folder / "q.tsq").write_bytes(query)
        self._openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "q.tsq",
                      "-out", "r.tsr")  # fmt: skip
        return (self._folder / "r.tsr").read_bytes()

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)
