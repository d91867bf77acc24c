import type { SluiceError } from '../errors.ts'
import type { Batch } from '../stream/stream-log.ts'

export type ProtocolName = 'native'

/** A wire format: pure functions of events and errors. */
export interface Protocol {
  readonly name: ProtocolName
  /** The frames of a batch. */
  encode(batch: Batch): string
  /** The body of a response that says what went wrong before a stream began. */
  renderError(error: SluiceError): { type: string; body: unknown }
}
