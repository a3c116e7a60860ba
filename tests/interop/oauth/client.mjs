// openid-client, which is certified, and oauth4webapi under it, through every flow. Prints what went well.
// node client.mjs <folder of the packages> <JSON: issuer, callback, person, confidential, public, keyed>

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { Browser } from './browser.mjs'

const [, , folder, settings] = process.argv
const { issuer, callback, person, confidential, open, keyed } = JSON.parse(settings)
const require = createRequire(`${folder}/package.json`)
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const client = await load('openid-client')
const oauth = await load('oauth4webapi')

const done = []
const insecure = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] }
const check = (holds, what) => {
  if (!holds) throw new Error(what)
}

async function signIn(name, config, { par = false } = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const parameters = {
    redirect_uri: callback,
    scope: 'openid profile email read',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
  }
  const url = par
    ? await client.buildAuthorizationUrlWithPAR(config, parameters)
    : client.buildAuthorizationUrl(config, parameters)
  const back = await new Browser().follow(url, callback, person)
  check(back.searchParams.get('iss') === issuer, 'iss')
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, back, checks)
  const claims = tokens.claims()
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  check(info.email === person.email && info.email === claims.email, 'email')
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
  check(refreshed.refresh_token !== tokens.refresh_token, 'rotation')
  done.push(name)
  return refreshed
}

const discover = (id, authentication) => client.discovery(new URL(issuer), id, undefined, authentication, insecure)

for (const [name, authentication] of [
  ['client_secret_post', client.ClientSecretPost(confidential.secret)],
  ['client_secret_basic', client.ClientSecretBasic(confidential.secret)],
]) {
  const config = await discover(confidential.id, authentication)
  await signIn(name, config)
}

const config = await discover(confidential.id, client.ClientSecretPost(confidential.secret))
const tokens = await signIn('pushed', config, { par: true })
const said = await client.tokenIntrospection(config, tokens.access_token)
check(said.active && said.scope.includes('read'), 'introspection')
await client.tokenRevocation(config, tokens.refresh_token)
check(!(await client.tokenIntrospection(config, tokens.access_token)).active, 'revocation')
done.push('introspection', 'revocation')
const service = await client.clientCredentialsGrant(config, { scope: 'read', resource: issuer })
check(service.expires_in > 0, 'client credentials')
done.push('client_credentials')

await signIn('public', await discover(open.id, client.None()))

const key = await crypto.subtle.importKey(
  'pkcs8', Buffer.from(keyed.key, 'base64'), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'],
)
await signIn('private_key_jwt', await discover(keyed.id, client.PrivateKeyJwt({ key, kid: keyed.kid })))

// The access token as a resource server takes it (RFC 9068).
const as = await oauth
  .discoveryRequest(new URL(issuer), { algorithm: 'oauth2', [oauth.allowInsecureRequests]: true })
  .then((answer) => oauth.processDiscoveryResponse(new URL(issuer), answer))
const request = new Request('http://resource.example/', { headers: { authorization: `Bearer ${service.access_token}` } })
const claims = await oauth.validateJwtAccessToken(as, request, issuer, { [oauth.allowInsecureRequests]: true })
check(claims.client_id === confidential.id && claims.sub === confidential.id, 'access token')
done.push('jwt_access_token')

console.log(JSON.stringify(done))
