"""What `import optimloop.all` costs over `import torch`: whole processes, in turn, each in a fresh interpreter.
Run with `python bench/import_time.py [ROUNDS] [--parts]`. Prints medians in seconds, and the medians of the ratios
round by round, which should be at most 1.05: by the clock, and by the processor, which other programs disturb less.
With `--parts` it prints what each module of ours takes, in milliseconds without the modules that it imports."""
import os, re, subprocess, sys, time
from statistics import median

codes = 'import torch', 'import torch, optimloop', 'import optimloop.all'

def seconds(code):
    "How long a process that runs `code` takes: by the clock, and by the processor"
    start, env = time.perf_counter(), {k:v for k,v in os.environ.items() if k!='PYTHONDONTWRITEBYTECODE'}
    pid = os.posix_spawn(sys.executable, [sys.executable, '-c', code], env)
    _,status,used = os.wait4(pid, 0)
    if status: raise RuntimeError(f"`{code}` fails")
    return time.perf_counter()-start, used.ru_utime+used.ru_stime

def compare(rounds):
    for code in codes: seconds(code) # warm the disk cache, and write the bytecode
    times = [{code:seconds(code) for code in codes} for _ in range(rounds)]
    for i,by in enumerate(('clock','processor')):
        for code in codes:
            ratio = median(o[code][i]/o[codes[0]][i] for o in times)
            print(f'{by:<12}{code:<26}{median(o[code][i] for o in times):7.3f} s   {ratio:.3f} times torch')

def parts(rounds, n=12):
    "Print our slowest modules, the least time of each"
    least = {}
    for _ in range(rounds):
        args = [sys.executable, '-X', 'importtime', '-c', f'{codes[0]}; {codes[-1]}']
        out = subprocess.run(args, capture_output=True, text=True, check=True).stderr
        for us,name in re.findall(r'^import time:\s+(\d+) \|.*\| +(optimloop\S*)$', out, re.M):
            least[name] = min(least.get(name, 1e9), int(us))
    for name,us in sorted(least.items(), key=lambda o: -o[1])[:n]: print(f'{name:<36}{us/1e3:7.1f} ms')
    print(f'{len(least)} modules{sum(least.values())/1e3:30.1f} ms')

if __name__=='__main__':
    numbers = [int(o) for o in sys.argv[1:] if o.isdigit()]
    (parts if '--parts' in sys.argv else compare)(*numbers or [11])
