"""Authlib through the flows of a confidential client. Prints what went well.

python client.py <JSON: issuer, callback, person, confidential, keyed>
"""

import html
import json
import os
import re
import sys
from urllib.parse import urljoin

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

settings = json.loads(sys.argv[1])
issuer, callback, person = settings["issuer"], settings["callback"], settings["person"]
application = settings["confidential"]
about = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=30).json()
keys = KeySet.import_key_set(requests.get(about["jwks_uri"], timeout=30).json())
done = []


def follow(url):
    """Signs in and agrees on the way to the callback."""
    browser = requests.Session()
    browser.headers["accept"] = "text/html"
    answer = browser.get(url, allow_redirects=False, timeout=30)
    for _ in range(10):
        location = answer.headers.get("location")
        if location:
            url = urljoin(url, location)
            if url.startswith(callback):
                return url
            answer = browser.get(url, allow_redirects=False, timeout=30)
            continue
        form = re.search(r'<form method="post" action="([^"]+)">(.*?)</form>', answer.text, re.S)
        assert answer.status_code == 200 and form, (answer.status_code, answer.text)
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[2])
        fields = {name: html.unescape(value) for name, value in hidden}
        if 'name="password"' in form[2]:
            fields |= {"email": person["email"], "password": person["password"]}
        if 'name="approve"' in form[2]:
            fields["approve"] = "true"
        url = urljoin(url, form[1])
        answer = browser.post(url, data=fields, allow_redirects=False, timeout=30)
    raise AssertionError("the pages lead nowhere")


for method in ["client_secret_basic", "client_secret_post"]:
    session = OAuth2Session(
        application["id"],
        application["secret"],
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope="openid profile email read",
        redirect_uri=callback,
        code_challenge_method="S256",
    )
    verifier, nonce = generate_token(48), generate_token()
    url, state = session.create_authorization_url(about["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
    token = session.fetch_token(
        about["token_endpoint"], authorization_response=follow(url), code_verifier=verifier, state=state
    )
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["nonce"] == nonce and claims["aud"] == application["id"] and claims["iss"] == issuer, claims
    info = session.get(about["userinfo_endpoint"]).json()
    assert info["email"] == person["email"] and info["sub"] == claims["sub"], info
    old = token["refresh_token"]
    token = session.refresh_token(about["token_endpoint"], refresh_token=old)
    assert token["refresh_token"] != old
    said = session.introspect_token(about["introspection_endpoint"], token=token["access_token"]).json()
    assert said["active"], said
    assert session.revoke_token(about["revocation_endpoint"], token=token["refresh_token"]).status_code == 200
    said = session.introspect_token(about["introspection_endpoint"], token=token["access_token"]).json()
    assert said == {"active": False}, said
    done.append(method)

service = OAuth2Session(application["id"], application["secret"], scope="read")
assert service.fetch_token(about["token_endpoint"], grant_type="client_credentials")["expires_in"] > 0
done.append("client_credentials")

# Its assertion is good for an hour and names no key.
keyed = settings["keyed"]
key = ECKey.import_key(f"-----BEGIN PRIVATE KEY-----\n{keyed['key']}\n-----END PRIVATE KEY-----\n")
service = OAuth2Session(keyed["id"], key, token_endpoint_auth_method="private_key_jwt", scope="read")
service.register_client_auth_method(PrivateKeyJWT(about["token_endpoint"], alg="ES256"))
assert service.fetch_token(about["token_endpoint"], grant_type="client_credentials")["expires_in"] > 0
done.append("private_key_jwt")
print(json.dumps(done))
