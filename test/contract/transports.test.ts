import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { onTestFinished, vi } from 'vitest'
import { Http1Transport } from '../../providers/transport/http1/http1-transport.ts'
import { toProxy } from '../../providers/transport/proxy.ts'
import { UndiciTransport } from '../../providers/transport/undici/undici-transport.ts'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { CA, TLS } from '../support/tls.ts'
import { describeTransport } from './transport.ts'

const createContext = tls.createSecureContext
const SERVER_TLS = { cert: CA, key: readFileSync(TLS.tlsKey) }

describeTransport('HTTP/1.1', { create: (origin, options) => new Http1Transport(origin, options) })

describeTransport('HTTP/1.1 with TLS', {
  tls: true,
  create(origin, options) {
    // What NODE_EXTRA_CA_CERTS does when a process starts.
    vi.spyOn(tls, 'createSecureContext').mockImplementation((given) => createContext({ ca: CA, ...given }))
    onTestFinished(() => void vi.restoreAllMocks())
    return new Http1Transport(origin, options)
  },
})

describeTransport('undici', {
  create: (origin, options) => new UndiciTransport({ origin, proxy: undefined, certificates: {} }, options),
})

describeTransport('undici with TLS', {
  tls: true,
  create: (origin, options) => new UndiciTransport({ origin, proxy: undefined, certificates: { ca: CA } }, options),
})

describeTransport('undici through a proxy', {
  tls: true,
  proxied: true,
  async create(origin, options) {
    const { port } = await startForwardProxy()
    const proxy = toProxy(`http://127.0.0.1:${port}`)
    return new UndiciTransport({ origin, proxy, certificates: { ca: CA } }, options)
  },
})

describeTransport('undici through a proxy with TLS', {
  tls: true,
  proxied: true,
  async create(origin, options) {
    const { port } = await startForwardProxy({ tls: SERVER_TLS })
    const proxy = toProxy(`https://localhost:${port}`)
    return new UndiciTransport({ origin, proxy, certificates: { ca: CA } }, options)
  },
})
