"""An app that uses authlib (https://docs.authlib.org), led by authlib.test.mjs: see `lead` in person.mjs."""

import json
import os
import sys
import time
from urllib.parse import parse_qsl, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey

GIVEN = json.loads(os.environ["CLIENT_INPUT"])


def ask(question, value=None):
    """Asks the test; answers what it said."""
    print(json.dumps({question: value}), flush=True)
    return json.loads(sys.stdin.readline())


def discover():
    url = get_well_known_url(GIVEN["issuer"], external=True)
    metadata = AuthorizationServerMetadata(requests.get(url, timeout=20).json())
    metadata.validate()
    assert metadata["issuer"] == GIVEN["issuer"]
    return metadata


def session(**more):
    method = GIVEN.get("method", "none")
    return OAuth2Session(
        GIVEN["client_id"],
        GIVEN.get("client_secret"),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=GIVEN["redirect_uri"],
        code_challenge_method="S256",
        **more,
    )


def post(client, url, **request):
    """A request with the client's authentication, for what authlib has no function for."""
    auth = client.client_auth(client.token_endpoint_auth_method)
    answer = client.post(url, auth=auth, timeout=20, **request)
    assert answer.ok, answer.text
    return answer.json()


def push(client, metadata, link):
    """Pushes the request that a link would carry (RFC 9126 §2); the link that stands for it."""
    form = dict(parse_qsl(urlsplit(link).query))
    if client.token_endpoint_auth_method in ("none", "client_secret_post"):
        del form["client_id"]  # The authentication puts it there, and twice it may not be (RFC 6749 §3.1).
    pushed = post(client, metadata["pushed_authorization_request_endpoint"], data=form)
    parameters = [("client_id", client.client_id), ("request_uri", pushed["request_uri"])]
    return add_params_to_uri(metadata["authorization_endpoint"], parameters)


def connect(client, metadata, pushed=False, **asked):
    verifier = generate_token(48)
    link, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, **asked)
    location = ask("visit", push(client, metadata, link) if pushed else link)
    # The session itself looks for a code alone; this is how authlib's integrations for Flask and Django go on.
    parameters = dict(parse_qsl(urlsplit(location).query))
    if "error" in parameters:
        raise OAuthError(parameters["error"], parameters.get("error_description"))
    return client.fetch_token(
        metadata["token_endpoint"],
        authorization_response=location,
        state=state,
        code_verifier=verifier,
    )


def refused(step):
    try:
        step()
    except OAuthError as error:
        return error.error
    return None


def story():
    """Connects, calls, refreshes, revokes."""
    metadata = discover()
    client = session(scope=GIVEN["scope"])
    first = connect(client, metadata)
    call = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}
    answer = client.post(GIVEN["issuer"] + "/openai/v1/chat/completions", json=call, timeout=20)
    assert answer.status_code == 200, answer.text
    # authlib sends the scope again (RFC 6749 §6).
    second = client.refresh_token(metadata["token_endpoint"])
    assert second["refresh_token"] != first["refresh_token"]
    ask("works", second["access_token"])
    answer = client.revoke_token(metadata["revocation_endpoint"], token=second["refresh_token"], token_type_hint="refresh_token")
    assert answer.status_code == 200, answer.text
    ask("is_over", second["access_token"])
    ask("refused", refused(lambda: client.refresh_token(metadata["token_endpoint"])))


def details():
    """Asks with authorization_details (RFC 9396)."""
    token = connect(session(), discover(), authorization_details=json.dumps(GIVEN["details"]))
    ask("granted", token["authorization_details"])


def resource_server():
    """Checks an access token as a service would that trusts the broker (RFC 9068 §4)."""
    metadata = discover()
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())
    # Named, because joserfc takes no other algorithms than its recommended ones by itself, and counts EdDSA out since RFC 9864.
    token = jwt.decode(GIVEN["token"], keys, algorithms=["EdDSA"])
    assert token.header["typ"] == "at+jwt", token.header
    us = {"essential": True, "value": GIVEN["issuer"]}
    there = {"essential": True}
    rules = jwt.JWTClaimsRegistry(iss=us, aud=us, exp=there, iat=there, sub=there, jti=there, client_id=there)
    rules.validate(token.claims)
    ask("claims", token.claims)


def denied():
    """The person says no, or the secret is wrong."""
    ask("refused", refused(lambda: connect(session(scope=GIVEN["scope"]), discover())))


def pushed():
    """Asks by a pushed request (RFC 9126)."""
    token = connect(session(), discover(), pushed=True, authorization_details=json.dumps(GIVEN["details"]))
    ask("granted", token["authorization_details"])


class ShortLived(PrivateKeyJWT):
    """authlib lets its assertions live for an hour; these live for a minute."""

    def sign(self, auth, token_endpoint):
        header = {"kid": auth.client_secret.kid}
        return private_key_jwt_sign(
            auth.client_secret, auth.client_id, token_endpoint, alg=self.alg, header=header, expires_in=60
        )


def with_own_key(method):
    """An app that registers itself with a key (RFC 7591) and asks for a refresh token; `method` gets the broker and the algorithm."""
    metadata = discover()
    key = ECKey.generate_key("P-256") if GIVEN["alg"] == "ES256" else OKPKey.generate_key("Ed25519")
    key.ensure_kid()
    public = {**key.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": GIVEN["alg"]}
    registration = {
        "client_name": "Key app",
        "redirect_uris": [GIVEN["redirect_uri"]],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public]},
    }
    answer = requests.post(metadata["registration_endpoint"], json=registration, timeout=20)
    assert answer.status_code == 201, answer.text
    GIVEN.update(client_id=answer.json()["client_id"], client_secret=key, method=method.name)
    client = session(scope=GIVEN["scope"])
    # Named, because authlib's own audience is the token endpoint; the issuer it is in draft-ietf-oauth-rfc7523bis.
    client.register_client_auth_method(method(metadata["issuer"], alg=GIVEN["alg"]))
    return client, metadata


def signing():
    """Proves itself by a key: to push, to redeem, to refresh, to introspect, to revoke (RFC 7523 §2.2)."""
    client, metadata = with_own_key(ShortLived)
    connect(client, metadata, pushed=True)
    token = client.refresh_token(metadata["token_endpoint"])
    ask("works", token["access_token"])
    ask("found", client.introspect_token(metadata["introspection_endpoint"], token=token["access_token"]).json())
    answer = client.revoke_token(metadata["revocation_endpoint"], token=token["refresh_token"])
    assert answer.status_code == 200, answer.text
    ask("is_over", token["access_token"])


def signing_for_an_hour():
    """The same with the assertions that authlib makes by itself."""
    client, metadata = with_own_key(PrivateKeyJWT)
    try:
        connect(client, metadata)
    except OAuthError as error:
        ask("refused", [error.error, error.description])


def device():
    """Shows a code and waits for a person (RFC 8628)."""
    metadata = discover()
    client = session()
    shown = post(client, metadata["device_authorization_endpoint"], data={"scope": GIVEN["scope"]})

    def poll():
        return client.fetch_token(
            metadata["token_endpoint"], grant_type=DEVICE_CODE_GRANT_TYPE, device_code=shown["device_code"]
        )

    ask("waits", refused(poll))
    ask("decide", shown["verification_uri_complete"])
    time.sleep(shown["interval"])
    ask("works", poll()["access_token"])


PARTS = (story, details, resource_server, denied, pushed, signing, signing_for_an_hour, device)
{part.__name__: part for part in PARTS}[sys.argv[1]]()
