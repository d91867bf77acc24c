import { describe } from 'vitest'
import { describeAborts } from './transport-aborts.ts'
import { describeConnecting } from './transport-connecting.ts'
import { describeConnections } from './transport-connections.ts'
import { describeLimit } from './transport-limit.ts'
import { describeRequests } from './transport-requests.ts'
import { describeResponses } from './transport-responses.ts'
import { describeUploads } from './transport-uploads.ts'
import { TransportStage, type TransportSubject } from './transport-stage.ts'

/** The suite that every transport passes. */
export function describeTransport(name: string, subject: TransportSubject): void {
  describe(name, () => {
    const stage = new TransportStage(subject)
    describeRequests(stage)
    describeResponses(stage)
    describeConnecting(stage)
    describeConnections(stage)
    describeLimit(stage)
    describeAborts(stage)
    describeUploads(stage)
  })
}
