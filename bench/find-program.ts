import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Missing } from './peers/relay.ts'

/** The path of a program. @throws Missing when it is not installed */
export function findProgram(name: string, debianPackage: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const found = folders.find((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  if (found === undefined) throw new Missing(`${name} is not installed (Debian: ${debianPackage})`)
  return join(found, name)
}
