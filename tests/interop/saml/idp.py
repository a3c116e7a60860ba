"""A SAML identity provider on loopback, for the tests of single sign-on: pysaml2 with xmlsec1.

It says its address in its first line, and then answers:

    GET  /metadata             its metadata
    POST /service              the metadata of a service provider that it is to know
    GET  /sso?SAMLRequest=…    the response to a signed request, as the fields of the form that its page would post
    GET  /unasked?sp=…         a response that nobody asked for
    GET  /slo?…                the answer to a signed LogoutRequest, by redirect; or what it reads in a LogoutResponse
    GET  /logout?sp=…          a LogoutRequest of its own, by redirect or by post

The query of a response says who signs in and how: user, email, groups, format, sign (response, assertion, both), weak (with
SHA-1), encrypt, session_seconds (how long the session may live), signed_in_ago (seconds). With the fields of the form stands
whether the request wanted the person to be asked anew.
"""

import base64
import datetime
import functools
import json
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, entity, saml, xmldsig
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.server import Server

folder = Path(tempfile.mkdtemp(prefix="rivergen-idp-"))
services = []
last = {}


def key_pair(name):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain))
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))


def provider(base):
    config = IdPConfig().load(
        {
            "entityid": f"{base}/metadata",
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [(f"{base}/sso", BINDING_HTTP_REDIRECT)],
                        "single_logout_service": [(f"{base}/slo", BINDING_HTTP_REDIRECT)],
                    },
                    "want_authn_requests_signed": True,
                    "sign_response": False,
                    "sign_assertion": True,
                    "policy": {"default": {"attribute_restrictions": None, "name_form": saml.NAME_FORMAT_URI}},
                }
            },
            "key_file": str(folder / "idp.key"),
            "cert_file": str(folder / "idp.crt"),
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "metadata": {"inline": list(services)},
        }
    )
    made = Server(config=config)
    # pysaml2 encrypts with triple DES where it is not told otherwise.
    entity.pre_encryption_part = functools.partial(PRE_ENCRYPTION, msg_enc="http://www.w3.org/2009/xmlenc11#aes256-gcm")
    made.sec.encrypt_assertion = functools.partial(made.sec.encrypt_assertion, key_type="aes-256")
    return made


PRE_ENCRYPTION = entity.pre_encryption_part


def algorithms(weak=False):
    if weak:
        return {"sign_alg": xmldsig.SIG_RSA_SHA1, "digest_alg": xmldsig.DIGEST_SHA1}
    return {"sign_alg": xmldsig.SIG_RSA_SHA256, "digest_alg": xmldsig.DIGEST_SHA256}


def response(idp, query, request_id, sp, acs):
    def one(name, otherwise=""):
        return query.get(name, [otherwise])[0]

    email = one("email", "ada@acme.example")
    form = {
        "persistent": saml.NAMEID_FORMAT_PERSISTENT,
        "transient": saml.NAMEID_FORMAT_TRANSIENT,
        "email": saml.NAMEID_FORMAT_EMAILADDRESS,
    }[one("format", "persistent")]
    name_id = saml.NameID(format=form, text=email if form == saml.NAMEID_FORMAT_EMAILADDRESS else one("user", "ada"))
    last.update(name_id=name_id, sp=sp)
    identity = {"mail": [email], "givenName": ["Ada"], "sn": ["Lovelace"]}
    if one("groups"):
        identity["isMemberOf"] = one("groups").split(",")
    context = {
        "mfa": "https://refeds.org/profile/mfa",
        "password": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
    }[one("context", "password")]
    sign = one("sign", "assertion")
    session_end = None
    if one("session_seconds"):
        session_end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=int(one("session_seconds")))
        session_end = session_end.strftime("%Y-%m-%dT%H:%M:%SZ")
    made = idp.create_authn_response(
        identity,
        in_response_to=request_id,
        destination=acs,
        sp_entity_id=sp,
        userid=one("user", "ada"),
        name_id=name_id,
        authn={
            "class_ref": context,
            "authn_auth": "https://idp.example",
            "authn_instant": int(time.time()) - int(one("signed_in_ago", "0")),
        },
        sign_response=sign in ("response", "both"),
        sign_assertion=sign in ("assertion", "both"),
        encrypt_assertion=one("encrypt") == "true",
        encrypt_assertion_self_contained=True,
        session_not_on_or_after=session_end,
        **algorithms(one("weak") == "true"),
    )
    return {"SAMLResponse": base64.b64encode(str(made).encode()).decode(), "action": acs}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", headers=()):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if urlsplit(self.path).path == "/key":
            key_pair("idp")
        else:
            services.append(body)
        self.server.idp = provider(self.server.base)
        self.answer(200, {})

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        try:
            getattr(self, f"get_{url.path.strip('/')}")(query)
        except Exception as error:  # The test reads what was wrong.
            self.answer(500, {"error": f"{type(error).__name__}: {error}"})

    def get_metadata(self, _):
        self.answer(200, str(entity_descriptor(self.server.idp.config)), "application/samlmetadata+xml")

    def get_sso(self, query):
        if "SAMLRequest" not in query:
            self.answer(400, {"error": "no request"})
            return
        idp = self.server.idp
        relay_state = query.get("RelayState", [None])[0]
        request = idp.parse_authn_request(
            query["SAMLRequest"][0],
            BINDING_HTTP_REDIRECT,
            relay_state=relay_state,
            sigalg=query["SigAlg"][0],
            signature=query["Signature"][0],
        )
        message = request.message
        fields = response(idp, query, message.id, message.issuer.text, message.assertion_consumer_service_url)
        fields["RelayState"] = relay_state
        fields["sig_alg"] = query["SigAlg"][0]
        fields["anew"] = message.force_authn == "true"
        self.answer(200, fields)

    def get_unasked(self, query):
        self.answer(200, response(self.server.idp, query, None, query["sp"][0], query["acs"][0]))

    def get_logout(self, query):
        idp = self.server.idp
        binding = BINDING_HTTP_POST if query.get("binding") == ["post"] else BINDING_HTTP_REDIRECT
        destination = query["slo"][0]
        request_id, request = idp.create_logout_request(
            destination,
            query["sp"][0],
            name_id=last["name_id"],
            session_indexes=query.get("session", []),
            sign=binding == BINDING_HTTP_POST,
            **algorithms(),
        )
        sent = idp.apply_binding(
            binding, str(request), destination, relay_state="of-the-idp", sign=True, sigalg=xmldsig.SIG_RSA_SHA256
        )
        if binding == BINDING_HTTP_POST:
            self.answer(200, {"id": request_id, "SAMLRequest": base64.b64encode(str(request).encode()).decode()})
        else:
            self.answer(200, {"id": request_id, "location": dict(sent["headers"])["Location"]})

    def get_slo(self, query):
        idp = self.server.idp
        relay_state = query.get("RelayState", [None])[0]
        signed = {"relay_state": relay_state, "sigalg": query["SigAlg"][0], "signature": query["Signature"][0]}
        if "SAMLResponse" in query:
            read = idp.parse_logout_request_response(query["SAMLResponse"][0], BINDING_HTTP_REDIRECT)
            self.answer(200, {"in_response_to": read.in_response_to, "issuer": read.issuer(), "ok": read.status_ok()})
            return
        request = idp.parse_logout_request(query["SAMLRequest"][0], BINDING_HTTP_REDIRECT, **signed)
        message = request.message
        if message.name_id.text != last["name_id"].text or message.name_id.format != last["name_id"].format:
            raise ValueError(f"not the NameID that was given: {message.name_id}")
        answer = idp.create_logout_response(message, [BINDING_HTTP_REDIRECT])
        args = idp.response_args(message, [BINDING_HTTP_REDIRECT])
        sent = idp.apply_binding(
            args["binding"],
            str(answer),
            args["destination"],
            relay_state,
            response=True,
            sign=True,
            sigalg=xmldsig.SIG_RSA_SHA256,
        )
        self.answer(302, {}, headers=[("location", dict(sent["headers"])["Location"])])


key_pair("idp")
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.base = f"http://127.0.0.1:{server.server_address[1]}"
server.idp = provider(server.base)
print(server.base, flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
