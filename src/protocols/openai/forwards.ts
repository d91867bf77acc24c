import type { ForwardRoute } from '../protocol.ts'

/** What OpenAI's API offers beside chats: https://platform.openai.com/docs/api-reference */
export const forwards: readonly ForwardRoute[] = [
  { path: '/v1/completions', route: '/completions', operation: 'text_completion', writesText: true },
  { path: '/v1/embeddings', route: '/embeddings', operation: 'embeddings' },
  { path: '/v1/moderations', route: '/moderations', operation: 'moderations' },
  { path: '/v1/images/generations', route: '/images/generations', operation: 'images' },
  { path: '/v1/audio/speech', route: '/audio/speech', operation: 'speech' },
  { path: '/v1/audio/transcriptions', route: '/audio/transcriptions', upload: true, operation: 'transcription' },
  { path: '/v1/audio/translations', route: '/audio/translations', upload: true, operation: 'translation' },
]
