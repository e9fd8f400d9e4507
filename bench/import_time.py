"""What `import optimloop` costs over `import torch`: whole processes, in turn, each in a fresh interpreter.
Run with `python bench/import_time.py [ROUNDS]`. Prints medians in seconds, and the median of the ratios round by round."""
import subprocess, sys, time
from statistics import median

codes = {'import torch':'import torch', 'import torch, optimloop':'import torch, optimloop', 'import optimloop.all':'import optimloop.all'}

def seconds(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, '-c', code], check=True)
    return time.perf_counter()-start

if __name__=='__main__':
    rounds = int(sys.argv[1]) if len(sys.argv)>1 else 11
    for code in codes.values(): seconds(code) # warm the disk cache
    times = [{k:seconds(code) for k,code in codes.items()} for _ in range(rounds)]
    for k in codes:
        ratio = median(o[k]/o['import torch'] for o in times)
        print(f'{k:<26}{median(o[k] for o in times):7.3f} s   {ratio:.3f} times torch')
