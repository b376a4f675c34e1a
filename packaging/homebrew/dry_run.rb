# Evaluates the formula without Homebrew, and prints what it would do, a line a step:
#
#   ruby packaging/homebrew/dry_run.rb packaging/homebrew/ccotel.rb [PATH_TO_CCOTEL]
#
# With the path of a binary, the formula's own test is run with it.

require "fileutils"
require "open3"
require "pathname"
require "socket"
require "tmpdir"

def told(*words)
  puts words.join(" ")
end

# As Homebrew's: a path to which a file can be written, and into which files are installed.
class Pathname
  def install(files)
    told "install", self, *files
  end

  alias plain_write write

  def write(text)
    dirname.mkpath
    plain_write(text)
  end
end

# What a `service` block may say.
class Service
  def method_missing(name, *values)
    told "service", name, *values.flatten
  end

  def respond_to_missing?(*) = true
end

class Formula
  FIELDS = [:desc, :homepage, :url, :sha256, :license, :head, :depends_on].freeze

  class << self
    attr_reader :service_block, :test_block

    def method_missing(name, *values, **options)
      raise NoMethodError, "Homebrew's formulae have no `#{name}`" unless FIELDS.include?(name)

      told name, *values, *options.map { |key, value| "#{key}:#{value}" }
    end

    def respond_to_missing?(name, *) = FIELDS.include?(name)

    def service(&block) = @service_block = block

    def test(&block) = @test_block = block

    def inherited(formula)
      (@formulae ||= []) << formula
      super
    end

    attr_reader :formulae
  end

  def initialize(binary)
    @binary = binary
  end

  def bin = @binary ? Pathname(@binary).dirname : Pathname("BIN")
  def opt_bin = Pathname("OPT_BIN")
  def var = Pathname("VAR")
  def man1 = Pathname("MAN1")
  def buildpath = @buildpath ||= Pathname(Dir.mktmpdir)
  def testpath = @testpath ||= Pathname(Dir.mktmpdir)
  def std_cargo_args = ["--locked", "--root", "PREFIX", "--path", "."]
  def generate_completions_from_executable(*words) = told("completions", *words)

  def system(*words)
    return told("run", *words) unless @running

    Kernel.system(*words.map(&:to_s)) || raise("#{words.join(" ")} failed")
  end

  def shell_output(command)
    output, status = Open3.capture2(command)
    raise "#{command} failed" unless status.success?

    output
  end

  def free_port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }

  def assert_match(pattern, text)
    raise "#{pattern.inspect} is not in #{text}" unless pattern.match?(text)
  end

  def run_test
    @running = true
    instance_exec(&self.class.test_block)
  ensure
    FileUtils.rm_rf(testpath)
  end
end

class Service
  def opt_bin = Pathname("OPT_BIN")
  def var = Pathname("VAR")
end

load ARGV.fetch(0)
formula = Formula.formulae.fetch(0)
formula.new(nil).install
Service.new.instance_exec(&formula.service_block)
told "caveats", formula.new(nil).caveats.lines.length, "lines"
if ARGV[1]
  formula.new(ARGV[1]).run_test
  told "test passed"
end
