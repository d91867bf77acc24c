// The ports of a gateway, and their certificate.

import type Koa from 'koa'
import { createApp } from './http/app.ts'
import type { Certificate } from './http/certificate.ts'
import { CertificateRenewal } from './http/certificate-renewal.ts'
import type { RequestState, Services } from './http/context.ts'
import { HttpServer } from './http/server.ts'

export class Ports {
  #app: Koa<RequestState>
  readonly #public: HttpServer
  readonly #admin: HttpServer | undefined
  readonly #renewal: CertificateRenewal
  #adminUrl: string | undefined

  constructor(services: Services, certificate: Certificate | undefined, certificateLookMs?: number) {
    const { config, metrics, logger } = services
    const { host, port, adminHost, adminPort } = config
    const { app, handler } = createApp(services)
    const options = { limits: config, certificate }
    this.#app = app
    this.#public = new HttpServer(handler, {
      ...options,
      address: { host, port, settings: { host: 'HOST', port: 'PORT' } },
    })
    if (adminPort !== undefined)
      this.#admin = new HttpServer(createApp(services, 'admin').handler, {
        ...options,
        address: { host: adminHost, port: adminPort, settings: { host: 'ADMIN_HOST', port: 'ADMIN_PORT' } },
      })
    this.#renewal = new CertificateRenewal({
      show: (renewed) => this.#show(renewed),
      metrics,
      logger,
      ...(certificateLookMs !== undefined && { lookMs: certificateLookMs }),
    })
    this.#renewal.follow(config, certificate)
  }

  /** The app that serves requests now. */
  get app(): Koa<RequestState> {
    return this.#app
  }

  /** Base URL of the admin port, once it listens; undefined without one. */
  get adminUrl(): string | undefined {
    return this.#adminUrl
  }

  /** Resolves to the base URL. @throws ConfigError when an address cannot be listened on */
  async listen(): Promise<string> {
    this.#adminUrl = await this.#admin?.listen()
    return this.#public.listen()
  }

  /** Serves requests from now on with these, and shows this certificate to new connections. */
  use(services: Services, certificate: Certificate | undefined): void {
    const { app, handler } = createApp(services)
    this.#app = app
    this.#public.use(handler)
    this.#admin?.use(createApp(services, 'admin').handler)
    this.#renewal.follow(services.config, certificate)
  }

  #show(certificate: Certificate): void {
    this.#public.renew(certificate)
    this.#admin?.renew(certificate)
  }

  /** Resolves when all requests that are open now are answered or abandoned. */
  async answered(): Promise<void> {
    await Promise.all([this.#public.answered(), this.#admin?.answered()])
  }

  async close(graceMs: number): Promise<void> {
    this.#renewal.stop()
    await Promise.all([this.#public.close(graceMs), this.#admin?.close(graceMs)])
  }
}
