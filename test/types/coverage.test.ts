import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test, vi } from 'vitest';
import { root } from '../files.js';

// The compiler reads the whole package.
vi.setConfig({ testTimeout: 300_000 });

const CLASSES = ['Model', 'Chat', 'AnswerStream', 'XgenmmError'];

test('the type tests name every export, and every public member of the classes', () => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test-d.ts'));
  const entry = join(root, 'lib', 'index.ts');
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config,
    ts.sys,
    root,
  );
  const names = [entry, ...files.map((name) => join(import.meta.dirname, name))];
  const program = ts.createProgram(names, { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  const index = checker.getSymbolAtLocation(program.getSourceFile(entry) as ts.SourceFile) as ts.Symbol;
  const exported = new Map(
    checker.getExportsOfModule(index).map((symbol) => [symbol.name, resolve(checker, symbol)]),
  );
  expect([...exported.keys()]).toEqual(expect.arrayContaining(CLASSES));

  const used = new Set<ts.Declaration>();
  for (const name of names.slice(1)) {
    collectUses(program.getSourceFile(name) as ts.SourceFile, checker, used);
  }
  const isUsed = ({ declarations = [] }: ts.Symbol) => declarations.some((it) => used.has(it));
  const missing = [...exported].filter(([, symbol]) => !isUsed(symbol)).map(([name]) => name);
  for (const name of CLASSES) {
    // Unlike the symbol's own members these have the ones with computed names, such as [Symbol.asyncDispose].
    const members = checker.getDeclaredTypeOfSymbol(exported.get(name) as ts.Symbol).getProperties();
    missing.push(
      ...members
        .filter((member) => isPublic(member) && !isUsed(member))
        .map((member) => `${name}.${member.declarations?.[0] && nameOf(member.declarations[0])}`),
    );
  }
  expect(missing).toEqual([]);
});

/** What an alias (an import or export) stands for. */
function resolve(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** Adds what the file speaks of outside of its imports. */
function collectUses(node: ts.Node, checker: ts.TypeChecker, used: Set<ts.Declaration>): void {
  if (ts.isImportDeclaration(node)) return;
  if (ts.isIdentifier(node)) add(checker.getSymbolAtLocation(node));
  if (ts.isElementAccessExpression(node)) {
    const key = checker.getTypeAtLocation(node.argumentExpression) as ts.UniqueESSymbolType;
    const members = checker.getTypeAtLocation(node.expression).getProperties();
    add(members.find((member) => member.escapedName === key.escapedName));
  }
  ts.forEachChild(node, (child) => collectUses(child, checker, used));

  function add(symbol: ts.Symbol | undefined): void {
    const declaration = symbol && resolve(checker, symbol).declarations?.[0];
    if (declaration !== undefined) used.add(declaration);
  }
}

function isPublic(member: ts.Symbol): boolean {
  const [declaration] = member.declarations ?? [];
  if (declaration === undefined || !isOurs(declaration)) return false;
  if (!ts.isClassElement(declaration) && !ts.isParameter(declaration)) return false;
  if (declaration.name !== undefined && ts.isPrivateIdentifier(declaration.name)) return false;
  return !ts.getJSDocTags(declaration).some((tag) => tag.tagName.text === 'internal');
}

/** Not inherited from a class of the language, such as Error. */
function isOurs(declaration: ts.Declaration): boolean {
  return declaration.getSourceFile().fileName.startsWith(join(root, 'lib').replaceAll('\\', '/'));
}

function nameOf(declaration: ts.Declaration): string {
  return ts.getNameOfDeclaration(declaration)?.getText() ?? '?';
}
