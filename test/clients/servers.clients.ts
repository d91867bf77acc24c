import { describeIn, LANGUAGES } from './languages.ts'
import { describeServer } from './servers/contract.ts'

const schema = {
  type: 'object',
  properties: { on: { type: 'boolean' }, color: { enum: ['red', 'blue'] } },
  required: ['on', 'color'],
}

describeIn('servers', () => {
  describeServer('llama.cpp', {
    run: LANGUAGES.servers.run,
    model: 'random',
    wires: ['openai', 'anthropic'],
    isBusy: async (origin) => {
      const slots = (await (await fetch(`${origin}/slots`)).json()) as { is_processing: boolean }[]
      return slots.some((slot) => slot.is_processing)
    },
    tooLong: 'exceeds the available context size',
    others: {
      'an answer that follows a schema': {
        response_format: { type: 'json_schema', json_schema: { name: 'lamp', schema } },
      },
      'an answer with log probabilities': { max_tokens: 3, logprobs: true, top_logprobs: 2 },
      'an answer of two choices': { n: 2 },
    },
  })
})
