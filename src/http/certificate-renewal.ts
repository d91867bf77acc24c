import { ConfigError } from '../errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { expiryOf, readCertificate, watchCertificate, type Certificate, type CertificateFiles } from './certificate.ts'

export interface RenewalOptions {
  /** Shows a certificate to new connections. */
  readonly show: (certificate: Certificate) => void
  readonly metrics: Metrics
  readonly logger: Logger
  /** How often the files are looked at, in milliseconds. */
  readonly lookMs?: number
}

/** Follows the files of the certificate. When a new pair cannot be used, the last one stays. */
export class CertificateRenewal {
  readonly #options: RenewalOptions
  #files: CertificateFiles = { tlsCert: '', tlsKey: '' }
  #shown: Certificate | undefined
  #stopWatching: () => void = () => {}

  constructor(options: RenewalOptions) {
    this.#options = options
  }

  /** Follows these files from now on, in place of those before. */
  follow(files: CertificateFiles, certificate: Certificate | undefined): void {
    this.#stopWatching()
    this.#files = files
    if (!certificate) return
    this.#show(certificate)
    this.#stopWatching = watchCertificate(files, () => this.#look(), this.#options.lookMs)
  }

  stop(): void {
    this.#stopWatching()
  }

  #look(): void {
    try {
      const certificate = readCertificate(this.#files)
      if (certificate) this.#show(certificate)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      // The other file of the pair may follow in a moment.
      this.#options.logger.error({ faults: error.faults }, 'certificate not renewed')
    }
  }

  #show(certificate: Certificate): void {
    const { show, metrics, logger } = this.#options
    const before = this.#shown
    if (before && before.cert.equals(certificate.cert) && before.key.equals(certificate.key)) return
    this.#shown = certificate
    show(certificate)
    const expires = expiryOf(certificate)
    const cell = metrics.cell('certificate_expires_timestamp_seconds', {})
    cell.value = expires
    if (before) logger.info({ expires: new Date(expires * 1000).toISOString() }, 'certificate renewed')
  }
}
