// SPDX-License-Identifier: MIT
// Decides how much work a work-item does.
#include <string.h>

#include "base/array.h"
#include "device/remember/choice.h"
#include "ops/split.h"

// CPU_CHUNK: elements per work-item on a CPU. They are enough to outweigh the cost of starting the work-item (about 0.1
// us), and few enough that a small layer still uses all cores. MOST_BLOCKS: most blocks of a reduction.
enum { CPU_CHUNK = 1024, MOST_BLOCKS = 512 };

static size_t groups(size_t count, size_t size)
{
    return (count + size - 1) / size;
}

bool clrnn_on_cpu(const struct clrnn_launches *launches)
{
    return clrnn_device_cpu_form(clrnn_launches_device(launches));
}

uint32_t clrnn_lanes(struct clrnn_launches *launches, uint32_t standard)
{
    static const char *const word[] = {"1", "2", "4", "8", "16", "32", "64", "128", "256", "512"};
    enum { FIRST = 5 }; // index of "32": fewer lanes are not worth trying
    const uint32_t most = clrnn_device_info(clrnn_launches_device(launches))->max_work_group_size;
    unsigned wanted = 0, count = 1;

    while (count < ARRAY_SIZE(word) && 1u << count <= most)
        count++;
    while (wanted + 1 < count && 1u << (wanted + 1) <= standard)
        wanted++;
    if (wanted < FIRST)
        return 1u << wanted;
    return 1u << (FIRST + clrnn_choose(launches, "lanes", wanted - FIRST, count - FIRST, word + FIRST));
}

static struct clrnn_split make(uint32_t width, uint32_t lanes, size_t chunk, size_t count)
{
    struct clrnn_split s = {
        .width = width, .lanes = lanes, .chunk = (uint32_t)chunk, .teams = (uint32_t)groups(count, chunk)};

    s.range = lanes == 1 ? RANGE1(MAX2(s.teams, 1)) : GROUPS1((size_t)MAX2(s.teams, 1) * lanes, lanes);
    return s;
}

struct clrnn_split clrnn_split_flat(const struct clrnn_launches *launches, size_t count)
{
    return clrnn_on_cpu(launches) ? make(16, 1, CPU_CHUNK, count) : make(1, 1, 1, count);
}

struct clrnn_split clrnn_split_elements(const struct clrnn_launches *launches, size_t rows, uint32_t C, bool ragged)
{
    if (!clrnn_on_cpu(launches))
        return make(1, 1, 1, rows * C);
    return make(ragged && C < 16 ? 1 : 16, 1, CPU_CHUNK, rows * C);
}

struct clrnn_split clrnn_split_rows(struct clrnn_launches *launches, size_t rows, uint32_t C)
{
    if (clrnn_on_cpu(launches))
        return make(C < 16 ? 1 : 16, 1, MAX2(1, CPU_CHUNK / MAX2(C, 1)), rows);
    return make(1, C <= 32 ? 1 : clrnn_lanes(launches, C <= 512 ? 64 : 256), 1, rows);
}

struct clrnn_split clrnn_split_columns(const struct clrnn_launches *launches, size_t rows, uint32_t C)
{
    const bool cpu = clrnn_on_cpu(launches);
    const uint32_t width = cpu && C >= 8 ? 16 : 1;
    const size_t chunk = MAX2(cpu ? 512 : 64, groups(rows, MOST_BLOCKS));
    struct clrnn_split s = make(width, 1, chunk, rows);

    s.range = RANGE2(groups(C, width), MAX2(s.teams, 1));
    return s;
}

struct clrnn_split clrnn_split_blocks(size_t rows, size_t least, uint32_t width, uint32_t lanes)
{
    return make(width, lanes, MAX2(MAX2(least, 1), groups(rows, MOST_BLOCKS)), rows);
}
