// Runs npm's oidc-provider with everybody signed in at once: node server.mjs SETTINGS.json
//
// SETTINGS.json: { modules, issuer, port, certificate, key, keys, client, people }
//   modules      folder that holds node_modules
//   certificate  PEM files of the server certificate and of its key
//   keys         where the signing keys are kept; made when the file is missing
//   client       { client_id, client_secret, redirect_uris }
//   people       claims by subject; `login_hint` of an authorisation request says who signs in,
//                else a page asks
//
// Other clients register themselves (RFC 7591), and may use the device flow (RFC 8628).
// A request without `resource` (RFC 8707) yields an opaque access token. `resource` AUDIENCE/ALG
// yields a JWT for AUDIENCE, signed with ALG. Prints READY when it listens.

import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const entry = join(settings.modules, 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(entry));

const RESOURCE_SCOPE = 'shell';
const IDENTITY_SCOPE = 'openid profile email entitlements offline_access';

const provider = new Provider(settings.issuer, {
  clients: [{
    ...settings.client,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }],
  jwks: { keys: signingKeys(settings.keys) },
  cookies: { keys: ['only for the length of one test'] },
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
    entitlements: ['eduperson_entitlement'],
  },
  pkce: { required: () => false },
  findAccount: (_context, subject) => account(subject),
  extraTokenClaims: (_context, token) => (token.aud ? settings.people[token.accountId] : undefined),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: grantEverything,
  issueRefreshToken: (_context, _client, code) => code.scopes.has('offline_access'),
  // Clients without a secret get a new refresh token with each use (RFC 9700 §4.14.2).
  rotateRefreshToken: (context) => context.oidc.client.clientAuthMethod === 'none',
  ttl: {
    AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600,
    DeviceCode: 300, Interaction: 60, RefreshToken: 3600, Session: 3600,
  },
  features: {
    devInteractions: { enabled: false },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    userinfo: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // The resource of the authorisation request holds for the token request too.
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => {
        const [audience, alg] = splitLast(resource);
        const signed = { audience, accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
        return { scope: RESOURCE_SCOPE, accessTokenTTL: 600, ...signed };
      },
    },
  },
});

const answer = provider.callback();
createServer(
  { cert: readFileSync(settings.certificate), key: readFileSync(settings.key) },
  (request, response) => {
    const work = request.url.startsWith('/interaction/')
      ? signIn(request, response)
      : answer(request, response);
    Promise.resolve(work).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  },
).listen(settings.port, '127.0.0.1', () => console.log('READY'));

for (const event of ['server_error', 'authorization.error', 'grant.error', 'userinfo.error', 'introspection.error']) {
  provider.on(event, (_context, error) => console.log(event, error.message, error.error_detail ?? ''));
}

function account(subject) {
  const claims = settings.people[subject];
  return claims && { accountId: subject, claims: () => ({ sub: subject, ...claims }) };
}

async function signIn(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const chosen = new URL(request.url, settings.issuer).searchParams.get('person');
  const person = params.login_hint ?? chosen;
  if (!person) {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(askWho());
    return;
  }
  await provider.interactionFinished(request, response, {
    login: { accountId: person },
    consent: {},
  });
}

function askWho() {
  const buttons = Object.keys(settings.people).map(
    (subject) => `<button name="person" value="${subject}">${subject}</button>`,
  );
  return `<!doctype html><title>Sign in</title><form method="get">${buttons.join('')}</form>`;
}

async function grantEverything({ oidc }) {
  const { accountId } = oidc.session;
  const grant = new provider.Grant({ accountId, clientId: oidc.client.clientId });
  grant.addOIDCScope(IDENTITY_SCOPE);
  if (oidc.params.resource) grant.addResourceScope(oidc.params.resource, RESOURCE_SCOPE);
  await grant.save();
  return grant;
}

function signingKeys(file) {
  if (!existsSync(file)) writeFileSync(file, JSON.stringify(newKeys()), { mode: 0o600 });
  return JSON.parse(readFileSync(file, 'utf8'));
}

// No key id: oidc-provider names each key by its thumbprint (RFC 7638).
function newKeys() {
  const jwk = (kind, options) => generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' });
  return [
    { ...jwk('rsa', { modulusLength: 2048 }), use: 'sig' },
    { ...jwk('ec', { namedCurve: 'P-256' }), use: 'sig' },
    { ...jwk('ed25519'), use: 'sig' },
  ];
}

function splitLast(resource) {
  const at = resource.lastIndexOf('/');
  return [resource.slice(0, at), resource.slice(at + 1)];
}
