/* `landfall/client`: uploads in browsers that go on after a reload, a lost connection or on another device. */
export { type KeyValueStorage, memoryOn, type UploadMemory } from './memory.ts'
export type { SendableFile, TransferState, TransferView } from './transfer-view.ts'
export { createUploads, type Uploads, type UploadsOptions } from './uploads.ts'
export { serverUrlStorage, type UrlStorageOptions } from './url-storage.ts'
