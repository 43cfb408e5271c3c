// SPDX-License-Identifier: MIT
// CLBlast's parameters: which settings suit a device, the sequence in which they are tried, passing them to CLBlast,
// and checking by a small multiply that CLBlast computes correctly with them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "device/gemm/internal.h"
#include "device/list/internal.h"
#include "device/remember/internal.h"

enum { DIRECT_PARAMETERS = 10, INDIRECT_PARAMETERS = 16 };

static const char *const direct_names[DIRECT_PARAMETERS] = {"WGD",  "MDIMCD", "NDIMCD", "MDIMAD", "NDIMBD",
                                                            "KWID", "VWMD",   "VWND",   "PADA",   "PADB"};
static const char *const indirect_names[INDIRECT_PARAMETERS] = {"MWG",   "NWG",  "KWG",   "MDIMC", "NDIMC", "MDIMA",
                                                                "NDIMB", "KWI",  "VWM",   "VWN",   "SA",    "SB",
                                                                "STRM",  "STRN", "GEMMK", "KREG"};
// Parameters that are 0 or 1; all others are positive.
static const char *const switches[] = {"PADA", "PADB", "SA", "SB", "STRM", "STRN", "GEMMK"};

// Hand-chosen settings, tried first. Some have few large work-items with a register tile, which suit CPUs. Others have
// many small work-items, which suit GPUs.
static const uint8_t direct_first[][DIRECT_PARAMETERS] = {
    {32, 8, 8, 8, 8, 2, 4, 4, 0, 0}, {64, 8, 8, 8, 8, 2, 1, 1, 0, 0},     {32, 16, 8, 16, 8, 2, 2, 2, 1, 1},
    {16, 8, 8, 8, 8, 2, 1, 1, 0, 0}, {64, 16, 16, 16, 16, 2, 4, 4, 0, 0}, {32, 8, 8, 8, 8, 8, 4, 4, 0, 0},
};
static const uint8_t indirect_first[][INDIRECT_PARAMETERS] = {
    {64, 64, 32, 8, 8, 8, 8, 8, 8, 8, 0, 0, 0, 0, 0, 1},     {64, 64, 16, 8, 8, 8, 8, 2, 8, 8, 0, 0, 0, 0, 0, 1},
    {64, 32, 32, 8, 4, 8, 4, 8, 8, 8, 0, 0, 0, 0, 0, 1},     {64, 64, 16, 8, 8, 8, 8, 2, 4, 4, 1, 1, 0, 0, 0, 1},
    {128, 64, 32, 16, 8, 16, 16, 2, 4, 4, 1, 1, 0, 0, 0, 1},
};

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}
#define DRAW(state, ...) ((const uint8_t[]){__VA_ARGS__})[draw(state, sizeof((const uint8_t[]){__VA_ARGS__}))]

// direct_fits and indirect_fits check the divisibility constraints of CLBlast's kernels, as CLBlast's own tuners do,
// and the device's limits.
static bool direct_fits(const uint8_t *v, const struct clrnn_device_info *info)
{
    const unsigned wgd = v[0], mc = v[1], nc = v[2], ma = v[3], nb = v[4], items = mc * nc;

    return wgd % v[5] == 0 && wgd % (mc * v[6]) == 0 && wgd % (nc * v[7]) == 0 && wgd % (ma * v[6]) == 0 &&
           wgd % (nb * v[7]) == 0 && items % ma == 0 && items % nb == 0 && wgd % (items / ma) == 0 &&
           wgd % (items / nb) == 0 && items <= info->max_work_group_size &&
           4 * (wgd * (wgd + v[8]) + wgd * (wgd + v[9])) <= info->local_bytes;
}

static bool indirect_fits(const uint8_t *v, const struct clrnn_device_info *info)
{
    const unsigned mwg = v[0], nwg = v[1], kwg = v[2], items = (unsigned)v[3] * v[4];

    return mwg % (v[3] * v[8]) == 0 && nwg % (v[4] * v[9]) == 0 && mwg % (v[5] * v[8]) == 0 &&
           nwg % (v[6] * v[9]) == 0 && kwg % v[7] == 0 && items % v[5] == 0 && items % v[6] == 0 &&
           kwg % (items / v[5]) == 0 && kwg % (items / v[6]) == 0 && items <= info->max_work_group_size &&
           4 * kwg * (v[10] * mwg + v[11] * nwg) <= info->local_bytes;
}

// Gets setting number `index` of a fixed sequence. Settings for both kernels alternate; hand-chosen settings come
// first, then random ones. False: the setting does not suit the device.
static bool setting(size_t index, const struct clrnn_device_info *info, bool *direct, uint8_t v[INDIRECT_PARAMETERS])
{
    const size_t at = index / 2;
    uint64_t state = index + 1;

    *direct = index % 2 != 0;
    if (*direct && at < ARRAY_SIZE(direct_first)) {
        memcpy(v, direct_first[at], sizeof(direct_first[at]));
        return direct_fits(v, info);
    }
    if (!*direct && at < ARRAY_SIZE(indirect_first)) {
        memcpy(v, indirect_first[at], sizeof(indirect_first[at]));
        return indirect_fits(v, info);
    }
    for (int tries = 0; tries < 10000; tries++) {
        if (*direct) {
            const uint8_t drawn[DIRECT_PARAMETERS] = {DRAW(&state, 8, 16, 32, 64), DRAW(&state, 8, 16, 32),
                                                      DRAW(&state, 8, 16, 32),     DRAW(&state, 8, 16, 32),
                                                      DRAW(&state, 8, 16, 32),     DRAW(&state, 2, 8, 16),
                                                      DRAW(&state, 1, 2, 4, 8),    DRAW(&state, 1, 2, 4, 8),
                                                      DRAW(&state, 0, 1),          DRAW(&state, 0, 1)};

            memcpy(v, drawn, sizeof(drawn));
            if (direct_fits(v, info))
                return true;
        } else {
            const uint8_t drawn[INDIRECT_PARAMETERS] = {DRAW(&state, 16, 32, 64, 128),
                                                        DRAW(&state, 16, 32, 64, 128),
                                                        DRAW(&state, 16, 32),
                                                        DRAW(&state, 2, 4, 8, 16, 32),
                                                        DRAW(&state, 2, 4, 8, 16, 32),
                                                        DRAW(&state, 4, 8, 16, 32),
                                                        DRAW(&state, 4, 8, 16, 32),
                                                        DRAW(&state, 2, 8),
                                                        DRAW(&state, 1, 2, 4, 8, 16),
                                                        DRAW(&state, 1, 2, 4, 8),
                                                        DRAW(&state, 0, 1),
                                                        DRAW(&state, 0, 1),
                                                        0,
                                                        0,
                                                        0,
                                                        1};

            memcpy(v, drawn, sizeof(drawn));
            if (indirect_fits(v, info))
                return true;
        }
    }
    return false;
}

static json_t *setting_json(bool direct, const uint8_t *v)
{
    json_t *o = json_object();

    for (size_t i = 0; o && i < (direct ? DIRECT_PARAMETERS : INDIRECT_PARAMETERS); i++)
        json_object_set_new(o, direct ? direct_names[i] : indirect_names[i], json_integer(v[i]));
    return o;
}

bool clrnn_setting_get(const struct clrnn_device_info *info, size_t index, bool *direct, json_t **parameters)
{
    uint8_t v[INDIRECT_PARAMETERS];

    *parameters = NULL;
    if (!setting(index, info, direct, v))
        return false;
    *parameters = setting_json(*direct, v);
    return true;
}

// ---------------------------------------------------------------- settings from a file

static bool is_switch(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
        if (strcmp(name, switches[i]) == 0)
            return true;
    return false;
}

// Returns the parameter `name` if it is an integer from `least` to `most`, otherwise -1.
static int number(const json_t *parameters, const char *name, int least, int most)
{
    const json_t *v = json_object_get(parameters, name);

    return json_is_integer(v) && json_integer_value(v) >= least && json_integer_value(v) <= most
               ? (int)json_integer_value(v)
               : -1;
}

bool clrnn_setting_fits(const struct clrnn_device_info *info, const char *kernel, const json_t *parameters)
{
    const bool direct = strcmp(kernel, "XgemmDirect") == 0;
    const size_t count = direct ? DIRECT_PARAMETERS : INDIRECT_PARAMETERS;
    uint8_t v[INDIRECT_PARAMETERS];

    if (strcmp(kernel, "GemmRoutine") == 0)
        return number(parameters, "XGEMM_MIN_INDIRECT_SIZE", 0, CLRNN_TUNE_NEVER) >= 0;
    if (json_object_size(parameters) != count || (!direct && strcmp(kernel, "Xgemm") != 0))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = direct ? direct_names[i] : indirect_names[i];
        const int value = number(parameters, name, !is_switch(name), is_switch(name) ? 1 : 128);

        if (value < 0)
            return false;
        v[i] = (uint8_t)value;
    }
    return direct ? direct_fits(v, info) : indirect_fits(v, info);
}

bool clrnn_setting_override(struct clrnn_device *device, const char *kernel, const json_t *parameters)
{
    const char *name[CLRNN_TUNE_MOST_PARAMETERS], *key;
    size_t value[CLRNN_TUNE_MOST_PARAMETERS], count = 0;
    json_t *v;

    json_object_foreach((json_t *)parameters, key, v)
    {
        if (count == CLRNN_TUNE_MOST_PARAMETERS || !json_is_integer(v) || json_integer_value(v) < 0)
            return false;
        name[count] = key;
        value[count++] = (size_t)json_integer_value(v);
    }
    return CLBlastOverrideParameters(device->handles.id, kernel, CLBlastPrecisionSingle, count, name, value) ==
           CLBlastSuccess;
}

bool clrnn_setting_route(struct clrnn_device *device, bool direct)
{
    json_t *min = json_pack("{s:i}", "XGEMM_MIN_INDIRECT_SIZE", direct ? CLRNN_TUNE_NEVER : 0);
    const bool taken = min && clrnn_setting_override(device, "GemmRoutine", min);

    json_decref(min);
    return taken;
}

// ---------------------------------------------------------------- checking a setting by a small multiply

enum { CHECK_M = 37, CHECK_N = 29, CHECK_K = 45 }; // sizes that are no multiples of any tile

static float operand(size_t i)
{
    return (float)((double)(i * 7919 % 2003) / 1001 - 1);
}

static enum clrnn_status make_operand(struct clrnn_device *device, size_t count, struct clrnn_buffer **buffer)
{
    float data[CHECK_M * CHECK_K];

    for (size_t i = 0; i < count; i++)
        data[i] = operand(i);
    TRY(clrnn_buffer_create(device, CLRNN_REAL, count, "a multiply's check", buffer));
    return clrnn_buffer_write_f32(*buffer, 0, count, data);
}

// Whether c is the product A B^T of A [M, K] and B [N, K]; element number i of A and of B is operand(i).
static bool is_product(const float *c)
{
    for (size_t m = 0; m < CHECK_M; m++)
        for (size_t n = 0; n < CHECK_N; n++) {
            double sum = 0;

            for (size_t k = 0; k < CHECK_K; k++)
                sum += (double)operand(m * CHECK_K + k) * operand(n * CHECK_K + k);
            if (!(fabs(c[m * CHECK_N + n] - sum) <= 4e-7 * (CHECK_K + 16))) // true for NaN, too
                return false;
        }
    return true;
}

enum clrnn_status clrnn_setting_check(struct clrnn_device *device, bool *right)
{
    const struct clrnn_log *log = device->log;
    struct clrnn_buffer *buffer[3] = {NULL, NULL, NULL};
    struct clrnn_launches *launches = NULL;
    struct clrnn_gemm g;
    float c[CHECK_M * CHECK_N];
    enum clrnn_status st;

    *right = false;
    device->log = NULL; // a setting that fails is not logged as an error
    if ((st = make_operand(device, CHECK_M * CHECK_K, &buffer[0])) == CLRNN_OK &&
        (st = make_operand(device, CHECK_N * CHECK_K, &buffer[1])) == CLRNN_OK &&
        (st = make_operand(device, CHECK_M * CHECK_N, &buffer[2])) == CLRNN_OK &&
        (st = clrnn_launches_create(device, &launches)) == CLRNN_OK) {
        g = clrnn_gemm_dense(CLRNN_GEMM_NT, CHECK_M, CHECK_N, CHECK_K, buffer[0], buffer[1], buffer[2]);
        if ((st = clrnn_launches_op(launches, "check")) == CLRNN_OK &&
            (st = clrnn_gemm_clblast_append(launches, &g)) == CLRNN_OK &&
            (st = clrnn_launches_run(launches)) == CLRNN_OK)
            st = clrnn_buffer_read_f32(g.c, 0, CHECK_M * CHECK_N, c);
    }
    *right = st == CLRNN_OK && is_product(c);
    clrnn_launches_destroy(&launches);
    for (size_t i = 0; i < ARRAY_SIZE(buffer); i++)
        clrnn_buffer_destroy(&buffer[i]);
    device->log = log;
    return st;
}
