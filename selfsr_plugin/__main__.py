"""What an installed user runs: ``python -m selfsr_plugin`` lists the commands."""

import sys

COMMANDS = {
    'train': 'train the models of an option file',
    'test': 'restore and score the test sets of an option file',
    'restore': 'restore the small faces of photos, or faces that are cut out',
    'web': 'the same on a web page of this machine',
    'evaluate': 'score a folder of restored images, of whatever method',
    'convert': 'a network as .safetensors or .pth, in half precision if asked',
    'export_onnx': 'export a generator to ONNX, and compare',
    'prepare_faces': 'cut the faces out of photos, all framed alike',
    'inspect_faces': 'look at faces before training: framing, colours, sharpness, duplicates',
    'split_faces': 'divide a folder of faces into train, val and test, nobody in two',
    'make_landmarks': 'landmarks of HR faces, for the methods of docs/baselines.md that learn from them',
    'make_parsing': 'parsing maps of HR faces, likewise',
    'create_lmdb': "make an LMDB in BasicSR's layout of a folder of images",
}


def main() -> None:
    """Print the list; a command's name after a space is answered with how to write it."""
    asked = [argument for argument in sys.argv[1:] if argument not in ('-h', '--help')]
    if asked:
        hint = f'write python -m selfsr_plugin.{asked[0]}' if asked[0] in COMMANDS else 'there is no such command'
        sys.exit(f'error: {asked[0]}: {hint}; python -m selfsr_plugin lists them.')
    width = max(map(len, COMMANDS))
    print('usage: python -m selfsr_plugin.COMMAND ...; --help after each tells more\n')
    print('\n'.join(f'  {name:{width}}  {text}' for name, text in COMMANDS.items()))


if __name__ == '__main__':
    main()
