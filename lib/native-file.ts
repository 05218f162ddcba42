import type { NativeImageMode } from './native.js';

/** What `inspectFile()` finds in a file. Widths are numbers of values. */
export interface NativeInspection {
  fileBytes: number;
  /** What loading reserves for computing, keys and values aside. */
  workingBytes: number;
  architecture: string;
  /** 0 for a file that is not of our format. */
  formatVersion: number;
  /** '' for a plain phi3 file. */
  variant: string;
  name: string;
  /** Absent from a file that holds just the vision part. */
  text?: {
    layers: number;
    width: number;
    mlpWidth: number;
    heads: number;
    kvHeads: number;
    headSize: number;
    /** Keys a query sees, itself included; 0: all. */
    window: number;
    contextLength: number;
    vocabSize: number;
    tokenizerStyle: 'slow' | 'fast';
    addedTokens: number;
    /** What `kvType: 'auto'` stands for. */
    kvType: 'f32' | 'f16';
    kv: NativeKvEstimate[];
  };
  /** Absent from a text-only model. */
  vision?: {
    imageMode: NativeImageMode;
    /** Of crops, in order of preference. */
    grids: { columns: number; rows: number }[];
    /** Pixels a side. */
    tile: number;
    patch: number;
    layers: number;
    width: number;
    mlpWidth: number;
    heads: number;
  };
  /** How the checkpoint's authors let it answer: `temperature` 0 is greedy, `repetitionPenalty` 1 none. Absent where the file is silent. */
  generation?: { maxTokens: number; temperature: number; repetitionPenalty: number };
  resampler?: { layers: number; heads: number; headSize: number; latents: number; outputWidth: number };
  /** All tensors, summed by part and by ggml's name of their type. */
  tensors: {
    part: 'text' | 'vision' | 'resampler' | 'other';
    type: string;
    count: number;
    elements: number;
    bytes: number;
  }[];
}

/** Bytes of one sequence's keys and values by type; a type that the heads do not allow is absent. */
export interface NativeKvEstimate {
  contextSize: number;
  /** Positions that are kept. */
  rows: number;
  f32?: number;
  f16?: number;
  q8_0?: number;
}

/** Where things lie in a GGUF file, for copying it: all of it validated. */
export interface NativeListing {
  /** Byte range of each key-value pair (key, type and value as they are in the file), in the file's order. */
  metadata: { key: string; begin: number; end: number }[];
  /**
   * In the file's order. `shape`: contiguous dimension first, as many dimensions as the file says. `type`: ggml's name (`'f16'`, `'q4_K'`).
   * `position`: of the first byte in the file.
   */
  tensors: { name: string; shape: number[]; type: string; position: number; bytes: number }[];
}
