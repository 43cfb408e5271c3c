# SPDX-License-Identifier: MIT
"""The library's public structs, written as C declares them; tests/python/test_structs.py holds them to the headers."""
from __future__ import annotations

import ctypes
import re
from typing import Any, Dict, Type

_TYPES: Dict[str, Any] = {
    "bool": ctypes.c_bool, "char": ctypes.c_char, "int": ctypes.c_int, "enum": ctypes.c_int,
    "unsigned": ctypes.c_uint, "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t, "double": ctypes.c_double,
}
STRUCTS: Dict[str, Type[ctypes.Structure]] = {}


def _field(base: Any, kind: str, name: str) -> tuple:
    """A declarator of C: `epoch`, `*name`, `curve[8]`. A pointer to char is text, to numbers or structs typed."""
    match = re.fullmatch(r"(\**)(\w+)((?:\[\d+\])*)", name)
    assert match, name
    stars, word, extents = match.groups()
    made = base
    if kind == "void" or len(stars) > 1:
        made = ctypes.c_void_p
    elif stars:
        made = ctypes.c_char_p if kind == "char" else ctypes.POINTER(base)
    for extent in reversed(re.findall(r"\d+", extents)):
        made = made * int(extent)
    return word, made


def _struct(name: str, text: str) -> Type[ctypes.Structure]:
    fields = []
    for statement in text.split(";"):
        if statement.strip():
            kind, names = statement.split(None, 1)
            fields += [_field(_TYPES.get(kind) or STRUCTS.get(kind), kind, n.strip()) for n in names.split(",")]
    made = type(name, (ctypes.Structure,), {"_fields_": fields})
    STRUCTS[name] = made
    return made


Array = _struct("array", "char *dtype; unsigned ndim; size_t shape[8]; void *data")
Arrays = _struct("arrays", "array x, y, lengths, weights, y_lengths")
Source = _struct("source", """bool there, own; arrays *arrays; int line; char *x, *y, *lengths, *weights, *y_lengths, *csv, *label,
    *columns, *target, *delimiter, *comment, *decimal, *label_from, *ts, *missing, *time, *group;
    uint32_t csv_steps, window, horizon, stride, season; bool split; double split_valid; bool synthetic;
    uint32_t samples, steps, features, classes; uint64_t seed""")
DeviceInfo = _struct("device_info", """int platform, device; enum type;
    char *name, *vendor, *version, *opencl_c_version, *driver, *extensions, *platform_name, *platform_version;
    uint32_t compute_units, max_work_group_size, max_clock_mhz; uint64_t global_bytes, max_alloc_bytes, local_bytes;
    uint32_t base_align_bytes, float_vector_width; bool local_is_real, has_fp64, unified_memory, is_pocl;
    char *trouble; int same_as; uint64_t pci""")
DeviceList = _struct("device_list", "size_t count; device_info *info; void *strings_")
DeviceParams = _struct("device_params", "char *select; void *log; bool profile; char *gemm; bool no_tune")
Param = _struct("param", "char *name; unsigned ndim; size_t shape[3], count; bool trained, integer")
Progress = _struct("progress", """bool epoch_end; uint32_t epoch, epochs, batch, batches;
    uint64_t samples, samples_total, step; double loss, lr, samples_per_s, seconds_left, train_loss, train_accuracy,
    valid_loss, valid_accuracy, train_mae, valid_mae, valid_rmse, valid_r2, grad_norm, seconds; bool best;
    char *metrics""")
TrainParams = _struct("train_params", """void *config; char *out, *init; bool init_partial; char *resume; int plot;
    bool no_watch, profile; void *progress, *progress_user, *stop, *further; size_t further_count""")
NaiveResult = _struct("naive_result", "char *name; double mae, rmse, accuracy")
Naive = _struct("naive", "uint32_t count; naive_result result[3]")
TrainResult = _struct("train_result", """char folder[4096]; uint64_t epochs, steps, best_epoch, parameters,
    peak_device_bytes; double train_loss, train_accuracy, valid_loss, valid_accuracy, seconds, ms_per_step_median,
    samples_per_s, build_seconds; bool chained; naive naive""")
ClassResult = _struct("class_result", "uint64_t support; double precision, recall, f1")
OutputResult = _struct("output_result", "double mae, rmse, r2")
EvalResult = _struct("eval_result", """uint64_t samples, counted; double loss, accuracy, balanced_accuracy, macro_f1,
    roc_auc, pr_auc, mae, rmse, r2, cer, wer; uint32_t classes; uint64_t *confusion; class_result *per_class;
    uint32_t outputs; output_result *per_output; naive naive""")
OverfitParams = _struct("overfit_params", """char *init; uint32_t samples, steps; double target; bool plain;
    void *stop""")
OverfitResult = _struct("overfit_result", """bool reached; uint32_t samples, steps; double first_loss, lowest_loss,
    last_loss, accuracy, target, floor; char *floor_reason; bool cannot, falling; char *ended; size_t curve_count;
    double *curve, grad_norm_first, last_lr; uint32_t classes""")
GrowStage = _struct("grow_stage", """char *name, *description; bool overfits; uint32_t overfit_steps;
    double overfit_loss, train_loss, valid_loss, train_accuracy, valid_accuracy; bool learns, breaks""")
GrowParams = _struct("grow_params", """char *init; uint32_t steps, train_steps; void *progress, *progress_user,
    *stop""")
GrowResult = _struct("grow_result", "size_t count; grow_stage *stage; int first_broken; char *cause")
Finding = _struct("finding", """char *id; enum severity; char *where, *evidence, *cost, *remedy, *set, *follows_from;
    enum outcome; char *tried""")
DoctorParams = _struct("doctor_params", """char *init, *plot, *report; bool static_only, no_train; double seconds;
    void *stop""")
DoctorResult = _struct("doctor_result", "size_t count; finding *finding; char *first, *verdict, *fixed")
SelftestOp = _struct("selftest_op", "char op[24]; uint32_t cases, wrong; double error, share; char fault[400]")
SelftestResult = _struct("selftest_result", """bool ok, shortened; uint32_t op_count; selftest_op op[64];
    double seconds""")
DeviceTest = _struct("device_test", "enum verdict; char reason[400]; selftest_result result")
DevicesParams = _struct("devices_params", """char *select; bool no_test; double timeout_s, seconds; void *stop,
    *progress, *progress_user""")
Deviation = _struct("deviation", "double error, bound")
Timing = _struct("timing", "double median, min, max; uint32_t reps")
Peak = _struct("peak", "double gflops, gb_per_s")
CompareRow = _struct("compare_row", """char spec[24], name[160], platform[160], driver[160], opencl[160]; bool is_ref;
    enum verdict; char reason[512]; device_test test; deviation loss, logits, *gradient; size_t worst_gradient;
    uint32_t steps; double *curve; uint32_t leaves; char blamed_op[64], blamed_tensor[64], blame[400];
    double final_loss, final_accuracy; deviation final; double build_cold_s, build_warm_s; timing step_ms;
    double samples_per_s, flops, bytes, gflops, gb_per_s; peak peak; char unmeasured[256];
    uint64_t launches_per_step, peak_device_bytes""")
CompareParams = _struct("compare_params", """size_t device_count; char **device, *init; uint32_t steps;
    bool no_speed, no_test; double timeout_s; char *gemm; bool no_tune; void *stop, *progress, *progress_user""")
CompareResult = _struct("compare_result", """uint32_t steps, batch, judged; bool judged_valid, speed;
    uint32_t noise_runs; size_t param_count; void *param; double *bound, *deviation; size_t row_count;
    compare_row *row; bool agree; char config_key[33]""")
LayerParams = _struct("layer_params", """enum kind; uint32_t input_size, hidden_size, num_layers, proj_size;
    bool no_bias, bidirectional, relu; double dropout; uint64_t seed""")
LayerInput = _struct("layer_input", """uint32_t T, N; void *x, *lengths, *h0, *c0, *weights; bool training; uint64_t seed;
    bool no_dx""")
LayerOutput = _struct("layer_output", "void *y, *hn, *cn")
LayerGradients = _struct("layer_gradients", "void *dy, *dhn, *dcn, *dx, *dh0, *dc0, *dweights, *weights")


class Record(dict):
    """A dict whose keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def plain(value: Any) -> Any:
    """A struct's value in Python: text as str, structs as Record, NaN as it is; pointers to numbers are left out."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, ctypes.Structure):
        return Record((name, plain(getattr(value, name))) for name, kind in value._fields_
                      if not issubclass(kind, ctypes._Pointer) and kind is not ctypes.c_void_p)
    return value
