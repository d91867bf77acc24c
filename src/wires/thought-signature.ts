// Gemini's thought signature of a tool call, within the call's id: the only part of a `tool_use` that comes back.

import { recordOf, type Fields } from './records.ts'

const MARK = '__sig_'

/** A call without its signature; both parts as the upstream sent them. */
export interface SignedCall {
  id: string
  signature?: string
}

/** The ids of the Messages API match `^[a-zA-Z0-9_-]+$`, as does base64url. */
export function withThoughtSignature(id: string, signature: string): string {
  const bytes = new TextEncoder().encode(signature)
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return `${id}${MARK}${btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`
}

/** A call's id with the signature among its fields, for clients that send back only its id, name and input. */
export function signedId(id: string, fields: Fields | undefined): string {
  const signature = recordOf(recordOf(fields?.extra_content)?.google)?.thought_signature
  return typeof signature === 'string' && signature !== '' ? withThoughtSignature(id, signature) : id
}

/** The reverse of `withThoughtSignature`. An id with no signature, or with something else after the mark, is returned as it is. */
export function readThoughtSignature(id: string): SignedCall {
  const at = id.lastIndexOf(MARK)
  if (at < 0) return { id }
  try {
    const binary = atob(
      id
        .slice(at + MARK.length)
        .replaceAll('-', '+')
        .replaceAll('_', '/'),
    )
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0))
    const signature = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return signature === '' ? { id } : { id: id.slice(0, at), signature }
  } catch {
    return { id }
  }
}
