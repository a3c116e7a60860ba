// The foreign provider of the social login tests: the OpenID-certified `oidc-provider`, on a free port of this machine.
//
//   node server.mjs <folder with node_modules> '{"claimsInIdToken": false, "applePublicKey": "-----BEGIN…",
//     "port": 0, "kid": "the first"}'
//
// The first line on standard output is its issuer. Whoever signs in says who they are: the login is
// "<subject>", "<subject>~<address>", or "<subject>~<address>~unverified". GET /seen answers what the grants were asked
// for with. POST /people says more of somebody: {"<subject>": {"groups": ["…"], "department": "…"}}. PKCE is required, so a
// client that sends none gets no further than the first page.
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, options = '{}'] = process.argv.slice(2);
const { claimsInIdToken = false, applePublicKey, port = 0, kid = 'the first' } = JSON.parse(options);
const entry = join(modules, 'node_modules', 'oidc-provider', 'lib', 'index.js');
const { default: Provider } = await import(pathToFileURL(entry).href);

const server = createServer();
await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const people = {};

function person(login) {
  const [subject, address, verified] = login.split('~');
  return {
    sub: subject,
    name: `Person ${subject}`,
    email: address || `${subject}@people.example`,
    // Apple writes it as a text.
    email_verified: applePublicKey ? String(verified !== 'unverified') : verified !== 'unverified',
    ...people[subject],
  };
}

const client = (id, method) => ({
  client_id: id,
  client_secret: `the secret of ${id}`,
  redirect_uris: ['http://127.0.0.1/unused'],
  token_endpoint_auth_method: method,
});

// Another key at each start.
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...key, kid, use: 'sig', alg: 'RS256' }] },
  clients: [client('corp', 'client_secret_basic'), client('apple', 'client_secret_post')],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups', 'department'] },
  // Apple calls the scope of the name so.
  scopes: ['openid', 'email', 'profile', 'name'],
  conformIdTokenClaims: !claimsInIdToken,
  pkce: { required: () => true },
  cookies: { keys: ['a key of the tests'] },
  // The account is the login; the subject is its first part.
  findAccount: (ctx, id) => ({ accountId: id, claims: () => person(id) }),
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 3600, Interaction: 600, Session: 600 },
});

// The server under test has another port each time.
provider.Client.prototype.redirectUriAllowed = () => true;

// Apple's secret is a token that the team's key signs.
const fixed = provider.Client.prototype.compareClientSecret;
provider.Client.prototype.compareClientSecret = function compare(secret) {
  if (this.clientId !== 'apple') return fixed.call(this, secret);
  const [header, claims, signature] = secret.split('.');
  const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
  const teamKey = { key: createPublicKey(applePublicKey), dsaEncoding: 'ieee-p1363' };
  const { iss, sub, aud, exp } = read(claims);
  return verify('sha256', Buffer.from(`${header}.${claims}`), teamKey, Buffer.from(signature, 'base64url'))
    && read(header).kid === 'KEY' && iss === 'TEAM' && sub === 'apple' && aud === issuer
    && exp - Date.now() / 1000 <= 3600;
};

const seen = [];
provider.on('grant.success', (ctx) => {
  const code = ctx.oidc.entities.AuthorizationCode;
  seen.push({
    client: ctx.oidc.client.clientId,
    challenge_method: code?.codeChallengeMethod,
    verified: Boolean(ctx.oidc.params.code_verifier),
    nonce: Boolean(code?.nonce),
  });
});

const answer = provider.callback();
server.on('request', async (request, response) => {
  if (request.url === '/people') {
    let body = '';
    for await (const chunk of request) body += chunk;
    Object.assign(people, JSON.parse(body));
    return response.end();
  }
  if (request.url !== '/seen') return answer(request, response);
  response.setHeader('content-type', 'application/json');
  return response.end(JSON.stringify(seen));
});
console.log(issuer);
// Ends with the test that started it.
process.stdin.on('end', () => process.exit(0)).resume();
