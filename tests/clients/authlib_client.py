"""An app that uses authlib (https://docs.authlib.org), led by authlib.test.mjs: see `lead` in person.mjs."""

import json
import os
import sys
from urllib.parse import parse_qsl, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet

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


def connect(client, metadata, **asked):
    verifier = generate_token(48)
    link, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, **asked)
    location = ask("visit", link)
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


{"story": story, "details": details, "resource_server": resource_server, "denied": denied}[sys.argv[1]]()
