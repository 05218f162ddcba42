/** Every code an {@link XgenmmError} can carry. */
export type ErrorCode =
  /** A file named by the caller does not exist or cannot be read. */
  | 'ERR_XGENMM_FILE_NOT_FOUND'
  /** A model file or checkpoint folder is damaged, incomplete or hostile. */
  | 'ERR_XGENMM_MODEL_INVALID'
  /** A sound file of a kind that this package does not run. */
  | 'ERR_XGENMM_MODEL_UNSUPPORTED'
  /** Memory for weights, KV cache or activations could not be had. */
  | 'ERR_XGENMM_OUT_OF_MEMORY'
  /** The requested device is absent or unusable. */
  | 'ERR_XGENMM_DEVICE_UNAVAILABLE'
  /** An argument has the wrong type or value. */
  | 'ERR_XGENMM_INVALID_ARGUMENT'
  /** A picture could not be decoded. */
  | 'ERR_XGENMM_IMAGE_DECODE'
  /** A picture is larger than the limit. */
  | 'ERR_XGENMM_IMAGE_LIMIT'
  /** A picture could not be fetched from the network. */
  | 'ERR_XGENMM_IMAGE_FETCH'
  /** A model could not be had from Hugging Face or another server. */
  | 'ERR_XGENMM_DOWNLOAD'
  /** Prompt and answer do not fit the context. */
  | 'ERR_XGENMM_CONTEXT_OVERFLOW'
  /** A second request on a chat that is still answering, or more open requests on a model than it queues. */
  | 'ERR_XGENMM_BUSY'
  /** The model was disposed. */
  | 'ERR_XGENMM_DISPOSED'
  /** Writing an output file failed. */
  | 'ERR_XGENMM_WRITE_FAILED'
  /** The native addon could not be loaded. */
  | 'ERR_XGENMM_ADDON_UNAVAILABLE'
  /** A fault of this package: please report it. */
  | 'ERR_XGENMM_INTERNAL';

/** The one error class of this package: a stable `code` and one sentence that says what was expected and what was received. */
export class XgenmmError extends Error {
  /** Always this, also where two copies of the package make `instanceof` fail. */
  override readonly name = 'XgenmmError';

  constructor(
    /** Stable, for programs. */
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
