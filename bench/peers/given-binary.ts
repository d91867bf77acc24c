import { accessSync, constants } from 'node:fs'
import { Missing } from './relay.ts'

/** The path of a program that no package registry has, from an environment variable. @throws Missing */
export function givenBinary(variable: string): string {
  const path = process.env[variable]
  if (!path) throw new Missing(`${variable} is not set to the path of its binary`)
  try {
    accessSync(path, constants.X_OK)
  } catch (error) {
    throw new Missing(`${variable} is set to ${path}, which cannot be run`, { cause: error })
  }
  return path
}
