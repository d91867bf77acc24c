import { describe } from 'vitest'
import { mock } from './protocol-backend.ts'
import type { ProtocolClient } from './protocol-client.ts'
import { describeRequests } from './protocol-requests.ts'
import { describeLeaving, describeRepeating, describeStreams } from './protocol-streams.ts'
import { anthropic, openai } from './protocol-upstreams.ts'
import { describeAnswers } from './protocol.ts'

/** What a protocol must do, whichever provider answers. */
export function describeProtocol(client: ProtocolClient): void {
  describe.each([mock, openai, anthropic])(`${client.name} over $name`, (backend) => {
    describeRequests(client, backend)
    describeAnswers(client, backend)
    describeStreams(client, backend)
    describeRepeating(client, backend)
    // Clients of these come back, and have the resume window to do so.
    if (client.name !== 'native' && client.name !== 'ui-messages') describeLeaving(client, backend)
  })
}
