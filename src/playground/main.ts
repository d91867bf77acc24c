import { listModels } from './gateway-info.ts'
import { Playground } from './playground.ts'
import { followStatus, StatusView } from './status-view.ts'

const playground = new Playground()
const status = new StatusView()
followStatus((update) => status.show(update))
playground.models = await listModels(location.href)
playground.open(location.hash)
