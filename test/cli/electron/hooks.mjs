export function resolve(specifier, context, nextResolve) {
  if (specifier !== 'electron') return nextResolve(specifier, context);
  return { url: new URL('./stand-in.mjs', import.meta.url).href, format: 'module', shortCircuit: true };
}
