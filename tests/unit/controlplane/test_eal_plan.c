/* SPDX-License-Identifier: BSD-3-Clause */
/* How a node is fitted onto a machine: cores, memory, EAL arguments. */
#include "controlplane/eal.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define GIB ((uint64_t)1 << 30)

/* A machine of the test's choice and the plan for it. */
struct fixture {
	struct options options;
	struct machine machine;
	struct eal_plan plan;
	char line[EAL_TEXT_SIZE]; /* the arguments with spaces between */
	char *errors;
	size_t size;
	uint32_t mistakes;
};

static void fixture_init(struct fixture *f, uint32_t cpus, uint64_t huge_pages)
{
	memset(f, 0, sizeof(*f));
	options_init(&f->options);
	f->machine.cpu_count = cpus;
	for (uint32_t i = 0; i < cpus; i++)
		f->machine.cpus[i] = (uint16_t)i;
	f->machine.memory_bytes = 8 * GIB;
	f->machine.huge_page_bytes = 2 << 20;
	f->machine.huge_pages_free = huge_pages;
}

static void set(struct fixture *f, const char *pair)
{
	CU_ASSERT_EQUAL(options_set_pair(&f->options, pair, stderr), 0);
}

/* 'extra' ends with NULL. */
static void plan(struct fixture *f, char **extra)
{
	FILE *errors = open_memstream(&f->errors, &f->size);
	int extra_count = 0;

	while (extra[extra_count])
		extra_count++;
	CU_ASSERT_EQUAL(options_check(&f->options, errors), 0);
	f->mistakes = eal_plan_make(&f->plan, &f->options, &f->machine, extra_count, extra, errors);
	fclose(errors);
	for (int i = 0; i < f->plan.argc; i++) {
		strcat(f->line, f->plan.argv[i]);
		strcat(f->line, " ");
	}
	CU_ASSERT_PTR_NULL(f->plan.argv[f->plan.argc]);
}

static void fixture_fini(struct fixture *f)
{
	free(f->errors);
}

static char *no_extra[] = { NULL };

static void two_cpus_are_shared_without_huge_pages(void)
{
	struct fixture f;

	fixture_init(&f, 2, 0);
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 0);
	CU_ASSERT_EQUAL(f.plan.idle, IDLE_ADAPTIVE);
	CU_ASSERT_FALSE(f.plan.huge_pages);
	CU_ASSERT_STRING_EQUAL(
		f.line, "godwitd --lcores=(0-1)@(0-1) --no-huge --no-shconf -m 91 "
			"--no-pci --iova-mode=va --no-telemetry --file-prefix=godwit-godwit ");
	fixture_fini(&f);
}

static void enough_cpus_and_huge_pages_are_used(void)
{
	struct fixture f;

	fixture_init(&f, 8, 2048);
	set(&f, "data.workers=3");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 0);
	CU_ASSERT_EQUAL(f.plan.idle, IDLE_SPIN);
	CU_ASSERT_TRUE(f.plan.huge_pages);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, "--lcores=0@(0-4),1@5,2@6,3@7 --in-memory "));
	CU_ASSERT_PTR_NULL(strstr(f.line, "--no-huge"));
	fixture_fini(&f);
}

static void spinning_on_two_cpus_leaves_one_to_control(void)
{
	struct fixture f;

	fixture_init(&f, 2, 0);
	set(&f, "data.idle=spin");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.plan.idle, IDLE_SPIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, "--lcores=0@(0),1@1 "));
	fixture_fini(&f);
}

static void one_cpu_serves_all_threads(void)
{
	struct fixture f;

	fixture_init(&f, 1, 0);
	set(&f, "data.workers=2");
	set(&f, "data.idle=spin");
	plan(&f, no_extra);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, "--lcores=(0-2)@(0) "));
	fixture_fini(&f);
}

static void the_operators_cores_are_kept_in_order(void)
{
	struct fixture f;

	fixture_init(&f, 4, 0);
	set(&f, "data.workers=2");
	set(&f, "data.cores=3,1");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, "--lcores=0@(0,2),1@3,2@1 "));
	fixture_fini(&f);
}

static void a_cpu_the_process_may_not_use_is_named(void)
{
	struct fixture f;

	fixture_init(&f, 2, 0);
	set(&f, "data.cores=9");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 1);
	CU_ASSERT_STRING_EQUAL(f.errors,
			       "--set: data.cores: expected CPUs that this process may use "
			       "(0-1), not 9\n");
	fixture_fini(&f);
}

static void too_few_huge_pages_are_not_used_by_halves(void)
{
	struct fixture f;

	fixture_init(&f, 2, 557); /* 1 GiB + 91 MiB are 558 */
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 0);
	CU_ASSERT_FALSE(f.plan.huge_pages);
	fixture_fini(&f);
	fixture_init(&f, 2, 558);
	plan(&f, no_extra);
	CU_ASSERT_TRUE(f.plan.huge_pages);
	fixture_fini(&f);
	fixture_init(&f, 2, 558);
	set(&f, "storage.huge_pages=off");
	plan(&f, no_extra);
	CU_ASSERT_FALSE(f.plan.huge_pages);
	fixture_fini(&f);
}

static void demanded_huge_pages_that_are_missing_are_a_mistake(void)
{
	struct fixture f;

	fixture_init(&f, 2, 100);
	set(&f, "storage.huge_pages=on");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 1);
	CU_ASSERT_STRING_EQUAL(
		f.errors,
		"--set: storage.huge_pages: 558 free huge pages are needed, there are 100: "
		"run scripts/godwit-setup hugepages 558, or lower storage.memory\n");
	fixture_fini(&f);
}

static void a_nic_needs_huge_pages_and_is_not_probed_by_the_eal(void)
{
	struct fixture f;

	fixture_init(&f, 4, 0);
	set(&f, "data.port.kind=pci");
	set(&f, "data.port.device=0000:01:00.0");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 1);
	fixture_fini(&f);
	fixture_init(&f, 4, 1024);
	set(&f, "data.port.kind=pci");
	set(&f, "data.port.device=0000:01:00.0");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, "-a 0000:00:00.0 "));
	CU_ASSERT_PTR_NULL(strstr(f.line, "--no-pci"));
	fixture_fini(&f);
}

static void more_memory_than_the_machine_has_is_a_mistake(void)
{
	struct fixture f;

	fixture_init(&f, 2, 0);
	set(&f, "storage.memory=64G");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 1);
	CU_ASSERT_STRING_EQUAL(f.errors,
			       "--set: storage.memory: this machine has 8192 MiB of memory; 65536 "
			       "MiB for items and 91 MiB for packets are more\n");
	fixture_fini(&f);
}

static void extra_arguments_come_last_and_may_not_contradict(void)
{
	char log[] = "--log-level=8", huge[] = "--no-huge", list[] = "-l0", same[] = "--lcores=0";
	char *good[] = { log, NULL };
	char *bad[] = { huge, list, same, NULL };
	struct fixture f;

	fixture_init(&f, 2, 0);
	set(&f, "node.name=n1");
	set(&f, "dpdk.telemetry=on");
	plan(&f, good);
	CU_ASSERT_EQUAL(f.mistakes, 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(f.line, "--iova-mode=va --file-prefix=godwit-n1 --log-level=8 "));
	fixture_fini(&f);
	fixture_init(&f, 2, 0);
	plan(&f, bad);
	CU_ASSERT_EQUAL(f.mistakes, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.errors, "EAL argument --no-huge: godwitd decides this; set "
						"storage.huge_pages=off instead\n"));
	fixture_fini(&f);
}

static void too_many_extra_arguments_are_refused(void)
{
	char word[] = "x";
	char *many[EAL_ARGUMENT_MAX + 1] = { NULL };
	struct fixture f;

	for (uint32_t i = 0; i < EAL_ARGUMENT_MAX; i++)
		many[i] = word;
	fixture_init(&f, 2, 0);
	plan(&f, many);
	CU_ASSERT_EQUAL(f.mistakes, 1);
	fixture_fini(&f);
}

static void the_longest_lists_fit_their_buffers(void)
{
	struct fixture f;

	fixture_init(&f, 512, 0);
	for (uint32_t i = 0; i < 512; i++)
		f.machine.cpus[i] = (uint16_t)(2 * i); /* no ranges */
	set(&f, "data.workers=64");
	set(&f, "data.idle=adaptive");
	plan(&f, no_extra);
	CU_ASSERT_EQUAL(f.mistakes, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, ",1022) --no-huge"));
	fixture_fini(&f);
	f.line[0] = '\0';
	set(&f, "data.idle=spin");
	plan(&f, no_extra);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, ",894),1@896,2@898,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, ",64@1022 --no-huge"));
	fixture_fini(&f);
}

static void packet_buffers_decide_the_memory_of_dpdk(void)
{
	struct fixture f;

	fixture_init(&f, 2, 0);
	set(&f, "data.workers=2");
	set(&f, "data.mtu=9000");
	set(&f, "data.port.ring_size=16384");
	plan(&f, no_extra);
	/* 64 + 2 * (16 + 34,816 buffers of 9,768 bytes) */
	CU_ASSERT_PTR_NOT_NULL(strstr(f.line, "-m 746 "));
	fixture_fini(&f);
}

static void meminfo_is_understood(void)
{
	struct machine machine = { 0 };
	char text[64];

	machine_read_meminfo(&machine, "MemTotal:       24000 kB\nMemFree: 1 kB\n"
				       "HugePages_Total:     512\nHugePages_Free:      500\n"
				       "HugePages_Rsvd:       20\nHugepagesize:       2048 kB\n");
	CU_ASSERT_EQUAL(machine.memory_bytes, 24000 * 1024);
	CU_ASSERT_EQUAL(machine.huge_page_bytes, 2 << 20);
	CU_ASSERT_EQUAL(machine.huge_pages_free, 480);
	machine_read(&machine);
	CU_ASSERT(machine.cpu_count > 0);
	CU_ASSERT(machine.memory_bytes > 0);
	machine_cpu_list((const uint16_t[]){ 0, 1, 2, 5, 7, 8 }, 6, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "0-2,5,7-8");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(two_cpus_are_shared_without_huge_pages),
		UNIT_TEST(enough_cpus_and_huge_pages_are_used),
		UNIT_TEST(spinning_on_two_cpus_leaves_one_to_control),
		UNIT_TEST(one_cpu_serves_all_threads),
		UNIT_TEST(the_operators_cores_are_kept_in_order),
		UNIT_TEST(a_cpu_the_process_may_not_use_is_named),
		UNIT_TEST(too_few_huge_pages_are_not_used_by_halves),
		UNIT_TEST(demanded_huge_pages_that_are_missing_are_a_mistake),
		UNIT_TEST(a_nic_needs_huge_pages_and_is_not_probed_by_the_eal),
		UNIT_TEST(more_memory_than_the_machine_has_is_a_mistake),
		UNIT_TEST(extra_arguments_come_last_and_may_not_contradict),
		UNIT_TEST(too_many_extra_arguments_are_refused),
		UNIT_TEST(the_longest_lists_fit_their_buffers),
		UNIT_TEST(packet_buffers_decide_the_memory_of_dpdk),
		UNIT_TEST(meminfo_is_understood),
		{ NULL, NULL },
	};

	return unit_run("eal_plan", tests);
}
