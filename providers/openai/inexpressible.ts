import { invalidField, type SluiceError } from '../../src/errors.ts'

export function inexpressible(path: string): SluiceError {
  return invalidField('invalid_request', path, 'cannot be expressed in Chat Completions')
}
