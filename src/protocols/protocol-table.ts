import type { IncomingHttpHeaders } from 'node:http'
import type { ModelForms, Protocol } from './protocol.ts'

/** A protocol that can list models. */
export interface ModelProtocol extends Protocol {
  readonly models: ModelForms
}

/** The protocols of a gateway, and which of them a request speaks. */
export class ProtocolTable {
  readonly rows: readonly [Protocol, ...Protocol[]]
  /** Headers by which clients of different protocols are told apart at paths that these share. */
  readonly clientHeaders: readonly string[]
  /** The longest path first. */
  readonly #paths: readonly { path: string; protocol: Protocol }[]
  readonly #unclaimed: Protocol

  /**
   * @param rows the first speaks wherever no other is asked for
   * @param unclaimed renders errors of paths below `/v1/` that belong to no protocol
   */
  constructor(rows: readonly [Protocol, ...Protocol[]], unclaimed: Protocol = rows[0]) {
    this.rows = rows
    this.clientHeaders = rows.flatMap(({ clientHeader }) => clientHeader ?? [])
    this.#paths = rows
      .flatMap((protocol) => protocol.paths.map((path) => ({ path, protocol })))
      .toSorted((a, b) => b.path.length - a.path.length)
    this.#unclaimed = unclaimed
  }

  get default(): Protocol {
    return this.rows[0]
  }

  get names(): string[] {
    return this.rows.map(({ name }) => name)
  }

  /** The protocol of a request, by its path; by its headers where protocols share the path, or none claims it. */
  at(path: string, headers: IncomingHttpHeaders): Protocol {
    for (const each of this.#paths) if (isBelow(path, each.path)) return each.protocol
    if (!path.startsWith('/v1/')) return this.default
    return this.rows.find((protocol) => isClient(protocol, headers)) ?? this.#unclaimed
  }

  named(name: string): Protocol | undefined {
    return this.rows.find((protocol) => protocol.name === name)
  }

  /** The query that names a protocol at the address of a stream. */
  readQuery({ name }: Protocol): string {
    return name === this.default.name ? '' : `?protocol=${name}`
  }

  /** The protocol in which models are listed: that of the client, or the first that has a form for them. */
  forModels(headers: IncomingHttpHeaders): ModelProtocol | undefined {
    const listing = this.rows.filter(hasModels)
    return listing.find((protocol) => isClient(protocol, headers)) ?? listing[0]
  }
}

function isClient({ clientHeader }: Protocol, headers: IncomingHttpHeaders): boolean {
  return clientHeader !== undefined && headers[clientHeader] !== undefined
}

function hasModels(protocol: Protocol): protocol is ModelProtocol {
  return protocol.models !== undefined
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charAt(prefix.length) === '/')
}
