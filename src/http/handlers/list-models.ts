import { allowedModels } from '../../access/allowed-models.ts'
import { SluiceError } from '../../errors.ts'
import type { ModelProtocol, ProtocolTable } from '../../protocols/protocol.ts'
import type { Handler, RequestContext, Services } from '../context.ts'

/** `GET /v1/models`: the models that requests of the caller can name, in the format of the requesting SDK. */
export function listModels({ protocols, router, catalog }: Services): Handler {
  return async (context) => {
    const { models } = useModelProtocol(context, protocols)
    await catalog.refresh()
    context.body = models.renderList(router.models(allowedModels(context.state.caller.principal)))
  }
}

/**
 * `GET /v1/models/:id`: any model that a request can name, listed or not; an id may hold slashes. A model that the
 * caller may not use is as unknown as any other.
 */
export function getModel({ protocols, router }: Services): Handler {
  return (context) => {
    const { models, wire } = useModelProtocol(context, protocols)
    const id = decode(context.path.slice('/v1/models/'.length))
    context.body = models.renderModel(router.lookUp(id, wire, allowedModels(context.state.caller.principal)))
  }
}

function useModelProtocol(context: RequestContext, protocols: ProtocolTable): ModelProtocol {
  context.vary([...protocols.clientHeaders])
  const protocol = protocols.forModels(context.headers)
  if (!protocol) throw new SluiceError('not_found', 'No protocol lists models.')
  context.state.protocol = protocol
  return protocol
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path // Not encoded, or broken: no model has that name.
  }
}
