import { listModels } from './models.ts'
import { Playground } from './playground.ts'
import { StatusView } from './status-view.ts'
import { followStatus } from './follow-status.ts'

const playground = new Playground()
const status = new StatusView()
followStatus((update) => status.show(update))
playground.models = await listModels()
playground.open(location.hash)
