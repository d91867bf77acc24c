import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const file = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** Settings with a certificate for localhost, valid until 2124. */
export const TLS = { tlsCert: file('cert.pem'), tlsKey: file('key.pem') }

/** It is its own authority. */
export const CA = readFileSync(TLS.tlsCert)
