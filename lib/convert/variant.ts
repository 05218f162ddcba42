/** The four official checkpoints: they differ in prompt, image mode and tokenizer style. */
export const VARIANTS = ['base', 'instruct-singleimg', 'instruct-interleave', 'instruct-dpo'] as const;
export type Variant = (typeof VARIANTS)[number];

/** The variant that a repository or folder name speaks of, as in `xgen-mm-phi3-mini-base-r-v1.5`. */
export function findVariant(name: string): Variant | undefined {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  return VARIANTS.find((variant) => words.includes(variant.replace('instruct-', '')));
}
