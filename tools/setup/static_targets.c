// The linker that is linked in (lld) starts all of LLVM's targets; a host image needs one. Without the others the
// program is half as large.
#define TARGET(name)                                                                               \
  void LLVMInitialize##name##TargetInfo(void) {}                                                   \
  void LLVMInitialize##name##Target(void) {}                                                       \
  void LLVMInitialize##name##TargetMC(void) {}                                                     \
  void LLVMInitialize##name##AsmPrinter(void) {}                                                   \
  void LLVMInitialize##name##AsmParser(void) {}                                                    \
  void LLVMInitialize##name##Disassembler(void) {}

TARGET(AArch64)
TARGET(AMDGPU)
TARGET(ARM)
TARGET(AVR)
TARGET(BPF)
TARGET(Hexagon)
TARGET(Lanai)
TARGET(LoongArch)
TARGET(M68k)
TARGET(MSP430)
TARGET(Mips)
TARGET(NVPTX)
TARGET(PowerPC)
TARGET(RISCV)
TARGET(SPIRV)
TARGET(Sparc)
TARGET(SystemZ)
TARGET(VE)
TARGET(WebAssembly)
TARGET(XCore)
TARGET(Xtensa)

// getPollyPluginInfo(), which the packaged archives name and do not have. Only link-time optimization with Polly would
// call it.
void noPolly(void) __asm__("_Z18getPollyPluginInfov");
void noPolly(void) { __builtin_trap(); }
