#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every OpenCL function that a kernel calls is declared in cl/builtins.h. A program that calls another is built all the
same, with the driver's own header, but reading that is most of the time that PoCL takes for a small program.

    test_builtins.py CL_FOLDER
"""
import glob
import os
import re
import sys

FUNCTIONS = """
    abs abs_diff acos acosh acospi add_sat all any asin asinh asinpi atan atan2 atanh atanpi atomic_add atomic_and
    atomic_cmpxchg atomic_dec atomic_inc atomic_max atomic_min atomic_or atomic_sub atomic_xchg atomic_xor barrier
    bitselect cbrt ceil clamp clz copysign cos cosh cospi cross degrees distance dot erf erfc exp exp10 exp2 expm1 fabs
    fdim floor fma fmax fmin fmod fract frexp get_global_id get_global_offset get_global_size get_group_id get_local_id
    get_local_size get_num_groups get_work_dim hadd hypot ilogb isequal isfinite isgreater isgreaterequal isinf isless
    islessequal isnan isnormal isnotequal ldexp length lgamma log log10 log1p log2 logb mad mad24 mad_hi mad_sat max
    mem_fence min mix modf mul24 mul_hi nan native_cos native_divide native_exp native_exp2 native_log native_log2
    native_powr native_recip native_rsqrt native_sin native_sqrt nextafter normalize popcount pow pown powr radians
    read_mem_fence remainder remquo rhadd rint rootn rotate round rsqrt select shuffle shuffle2 sign signbit sin sincos
    sinh sinpi smoothstep sqrt step sub_sat tan tanh tanpi tgamma trunc upsample write_mem_fence""".split()


def code(path):
    """A file's text without comments and strings."""
    with open(path, encoding="utf-8") as file:
        return re.sub(r'//[^\n]*|"[^"\n]*"', "", file.read())


def main():
    paths = [path for path in glob.glob(os.path.join(sys.argv[1], "*")) if path.endswith((".cl", ".h"))]
    texts = {os.path.basename(path): code(path) for path in paths}
    declared = set(re.findall(r"\w+", texts.pop("builtins.h")))
    missing = [(name, call) for name, text in sorted(texts.items())
               for call in sorted(set(re.findall(r"\b([a-z]\w*)\(", text)))
               if call in FUNCTIONS and call not in declared]
    for name, call in missing:
        print("cl/%s calls %s, which cl/builtins.h does not declare" % (name, call))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
